"""What goes wrong while a training is watched: one warning at the user's line, and the training goes on."""

from __future__ import annotations

import sys
import warnings
from typing import Final

_NOT_THE_USERS: Final = frozenset({"convscope", "torch", "contextlib"})


class Trouble:
    """A context that turns the errors of logging into one warning, until something could be logged again.

    A warning that the user has made an error is let through.

    Parameters
    ----------
    name
        The network that is watched.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._told = False

    def __enter__(self) -> None:
        """Begin to watch over."""

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> bool:
        if not isinstance(error, Exception) or isinstance(error, Warning):
            return False
        if not self._told:
            self._told = True
            warn_user(
                f"cs.watch could not log {self._name} ({type(error).__name__}: {error}); the training goes on, and so "
                "does the count of its steps"
            )
        return True

    def is_over(self) -> None:
        """Note that something could be logged: the next error is told again."""
        self._told = False


def warn_user(message: str) -> None:
    """Warn at the line of the user's that has led here, which may lie behind many of torch's."""
    frame, level = sys._getframe(1), 2  # noqa: SLF001 - as the standard library's own warnings do it
    while frame.f_back is not None and frame.f_globals.get("__name__", "").partition(".")[0] in _NOT_THE_USERS:
        frame, level = frame.f_back, level + 1
    warnings.warn(message, RuntimeWarning, stacklevel=level)
