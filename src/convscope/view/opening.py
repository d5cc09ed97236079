"""Whether a browser can be opened here, and how to reach the viewer from where the user sits."""

from __future__ import annotations

import getpass
import os
import sys
from collections.abc import Mapping
from typing import Final

_SSH: Final = ("SSH_CONNECTION", "SSH_CLIENT", "SSH_TTY")
_DISPLAYS: Final = ("DISPLAY", "WAYLAND_DISPLAY", "WSL_DISTRO_NAME")
_SSH_PORT: Final = "22"


def is_over_ssh(environ: Mapping[str, str] | None = None) -> bool:
    """Say whether the program was started through SSH: the user sits elsewhere."""
    told = os.environ if environ is None else environ
    return any(told.get(name) for name in _SSH)


def opens_here(environ: Mapping[str, str] | None = None, platform: str = sys.platform) -> bool:
    """Say whether a browser that is opened here is seen: there is a display, and no SSH in between.

    >>> opens_here({"DISPLAY": ":0"}, "linux"), opens_here({"DISPLAY": ":10", "SSH_TTY": "/dev/pts/1"}, "linux")
    (True, False)
    """
    told = os.environ if environ is None else environ
    if is_over_ssh(told):
        return False
    return platform in ("darwin", "win32") or any(told.get(name) for name in _DISPLAYS)


def tunnel(port: int, environ: Mapping[str, str] | None = None) -> str:
    """Return the command that brings the viewer's port to the machine the user sits at.

    >>> tunnel(6007, {"SSH_CONNECTION": "198.51.100.7 50022 203.0.113.5 2222", "USER": "ada"})
    'ssh -N -L 6007:127.0.0.1:6007 -p 2222 ada@203.0.113.5'
    """
    told = os.environ if environ is None else environ
    parts = told.get("SSH_CONNECTION", "").split()
    host, ssh_port = (parts[2], parts[3]) if len(parts) == 4 else ("HOST", _SSH_PORT)
    special = f" -p {ssh_port}" if ssh_port != _SSH_PORT else ""
    return f"ssh -N -L {port}:127.0.0.1:{port}{special} {told.get('USER') or _user()}@{host}"


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a user without a name, as in some containers
        return "USER"
