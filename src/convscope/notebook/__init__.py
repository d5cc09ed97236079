"""What notebooks need beyond :func:`convscope.show`: the viewer in a frame, where no widget can run."""

from convscope.notebook.frame import ServedFrame, serve

__all__ = ["ServedFrame", "serve"]
