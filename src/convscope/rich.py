"""How results show themselves in a notebook: a small still picture and what is known, made above, called by name."""

from __future__ import annotations

from importlib import import_module


class Rich:
    """Gives a result its look in a notebook. It adds no state, and loads nothing until a notebook asks."""

    __slots__ = ()

    def _repr_html_(self) -> str | None:
        """Return the result as HTML; ``None`` where that cannot be, and the text stays."""
        try:
            html: str = import_module("convscope.notebook.html").html_of(self)
        except Exception:  # a look that fails must not take the result from who has computed it
            import logging

            logging.getLogger(__name__).debug("no look for %s", type(self).__name__, exc_info=True)
            return None
        return html
