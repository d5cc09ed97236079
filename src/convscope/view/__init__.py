"""The viewer's hosts: a local server (and later a notebook, one HTML file, a static site)."""

from convscope.view.serve import RunningServer, serve

__all__ = ["RunningServer", "serve"]
