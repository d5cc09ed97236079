"""Words: texts in Markdown."""

from __future__ import annotations

from convscope.formats.values import encode_text
from convscope.recording.base import Recorder


class TextMethods(Recorder):
    """The methods that log words."""

    def add_text(
        self, tag: str, text_string: str, global_step: int | None = None, walltime: float | None = None
    ) -> None:
        """Log a text, which may be Markdown.

        Parameters
        ----------
        tag
            The text's name.
        text_string
            The text.
        global_step
            The training step; 0 by default.
        walltime
            Seconds since 1970; now by default.
        """
        self._emit(tag, encode_text(str(text_string)), global_step, walltime)
