"""In which notebook the program runs, found without importing any."""

from __future__ import annotations

import os
import sys
from typing import Any


def notebook() -> str:
    """Return ``jupyter`` for any notebook with an IPython kernel, ``marimo``, or nothing in a script or a shell."""
    marimo: Any = sys.modules.get("marimo")
    if marimo is not None and getattr(marimo, "running_in_notebook", bool)():
        return "marimo"
    ipython: Any = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None and hasattr(ipython, "get_ipython") else None
    return "jupyter" if getattr(shell, "kernel", None) is not None else ""


def proxied(port: int | str) -> str:
    """Return the address of a port of the notebook's machine as its browser may reach it by jupyter-server-proxy.

    Empty where no JupyterHub says that the notebook stands behind it: then the port itself is the way.
    """
    prefix = os.environ.get("JUPYTERHUB_SERVICE_PREFIX", "")
    return f"{prefix.rstrip('/')}/proxy/{port}/" if prefix else ""
