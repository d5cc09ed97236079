"""The notebook's host: a widget whose page asks the kernel by messages, for the program as for the data.

It works where anywidget does: JupyterLab, Notebook 7, VS Code, Colab, marimo. What is sent with every widget is a small
script (``web/src/hosts/widget.ts``) that makes a frame for the app.
"""

from __future__ import annotations

import re
import threading
import time
import weakref
from collections.abc import Callable, Mapping
from functools import cache
from importlib import import_module
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

from convscope.errors import InputError, StorageError, missing_extra
from convscope.view import program
from convscope.view.memory import MemorySource
from convscope.view.messages import Reply, reply_to, sentence_of
from convscope.view.source import Source

WATCH_SECONDS: Final = 0.5
GONE_SECONDS: Final = 150.0
"""A page that has not been heard of for so long is gone: it is heard of every 30 seconds, a hidden one every 60."""
LEAST_HEIGHT: Final = 160
MOST_HEIGHT: Final = 10_000
_CHUNK: Final = re.compile(r"[\w.-]+\.js")
Bundle = Mapping[str, Any]


def make_widget(
    source: Source,
    *,
    start: str = "",
    compact: bool = False,
    height: int = 560,
    still: Callable[[], Bundle] | None = None,
) -> Any:
    """Return a widget that shows what a source holds.

    Parameters
    ----------
    source
        What answers.
    start
        The address to begin with: ``#/filters?tag=conv1``.
    compact
        Whether it shows one result alone, without what leads to others.
    height
        In pixels; who looks at it can draw it larger.
    still
        Gives what stands in its place where no widget runs, by media type.

    Raises
    ------
    MissingExtraError
        If anywidget is not installed.
    InputError
        If the height is none.
    StorageError
        If the front end is not built.
    """
    if not isinstance(height, int) or isinstance(height, bool) or not LEAST_HEIGHT <= height <= MOST_HEIGHT:
        raise InputError(f"the height is a number of pixels from {LEAST_HEIGHT} to {MOST_HEIGHT:,}, got {height!r}")
    shown = program.entry("frame")
    made = _widget_class()(height=height, start=start, compact=compact, program=shown.start)
    made.serve(source, still)
    return made


def _script() -> str:
    """Return the script that runs in the notebook's page."""
    try:
        path = Path(str(files("convscope.view") / "static")) / "export" / "widget.js"
        return path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise StorageError(
            "the front end is not built; build it with: pip install . (or make test in a checkout)"
        ) from error


@cache
def _widget_class() -> Any:
    """Make the class of the widget; anywidget is imported here, when it is needed."""
    try:
        anywidget: Any = import_module("anywidget")
    except ImportError as error:
        raise missing_extra("anywidget", "notebook", "a widget in a notebook") from error
    traits: Any = import_module("traitlets")

    class Widget(anywidget.AnyWidget):  # type: ignore[misc]
        """A frame with the app, in the output of a cell."""

        _esm = _script()
        height = traits.Int(560).tag(sync=True)
        start = traits.Unicode("").tag(sync=True)
        compact = traits.Bool().tag(sync=True)
        program = traits.Unicode("").tag(sync=True)

        def serve(self, source: Source, still: Callable[[], Bundle] | None) -> None:
            """Answer from a source."""
            self._source, self._still, self._watch = source, still, Watch(self, source)
            self.on_msg(_hear)
            _beside_cells(self.comm)

        def send(self, content: Any, buffers: Any = None) -> None:
            """Send a message to the page."""
            super().send(content, buffers)
            _beside_cells(self.comm)

        def hear(self, message: Any) -> None:
            """Answer one message of the page."""
            if not isinstance(message, dict):
                return
            if isinstance(message.get("watch"), bool):
                self._watch.turn(str(message.get("view")), on=message["watch"])
                return
            reply, data = answer(self._source, message)
            self.send(reply, data)

        def close(self) -> None:
            self._watch.stop()
            super().close()

        def __repr__(self) -> str:
            return f"Widget({self.start or '#/'})"

        def _repr_mimebundle_(self, **options: Any) -> Any:
            """Return the widget and, for where none can run, a still picture."""
            bundle = super()._repr_mimebundle_(**options)
            if bundle is None or self._still is None:
                return bundle
            data, metadata = bundle if isinstance(bundle, tuple) else (bundle, {})
            return {**self._still(), **data}, metadata

    return Widget


def _beside_cells(comm: Any) -> None:
    """Let questions be answered while a cell runs, where the notebook has subshells for that.

    ipykernel (7.4) gives a message of the page to the loop that has spoken last on the line, whatever the page asks
    for; that would be the one that is busy with the cell. Forgotten, the page is heard.
    """
    getattr(comm, "__dict__", {}).pop("_reply_subshell_id", None)


def _hear(widget: Any, message: Any, _: Any) -> None:
    """Pass a message on: a function, so that the widget does not hold itself."""
    widget.hear(message)


def answer(source: Source, message: Bundle) -> tuple[dict[str, Any], list[bytes]]:
    """Return the answer to a question as it is sent: JSON and buffers; whatever fails becomes a sentence."""
    number = str(message.get("id"))
    try:
        reply = _program(message) if message.get("ask") in ("program", "chunk") else reply_to(source, message)
    except Exception as error:  # noqa: BLE001 - whatever it is, the page waits for an answer
        return {"id": number, "error": sentence_of(error)}, []
    return {"id": number, "value": reply.value}, [] if reply.data is None else [reply.data]


def _program(message: Bundle) -> Reply:
    """Return the beginning of the program, or one of its chunks."""
    if message["ask"] == "program":
        shown = program.entry("frame")
        return Reply({"boot": shown.boot, "start": shown.start, "style": shown.style})
    name = message.get("name")
    if not isinstance(name, str) or not _CHUNK.fullmatch(name):
        raise InputError(f"a part of the program is called NAME.js, got {str(name)[:60]!r}")
    return Reply(program.chunk(name).decode())


class Watch:
    """Tells the pages of a widget when there is something new, while one of them is open.

    Parameters
    ----------
    widget
        The widget; it is not held.
    source
        What may change.
    """

    def __init__(self, widget: Any, source: Source) -> None:
        self._widget = weakref.ref(widget)
        self._source = source
        self._views: dict[str, float] = {}  # when each was heard of last
        self._lock = threading.Lock()
        self._ending: threading.Event | None = None

    def turn(self, view: str, *, on: bool) -> None:
        """Take note that a page is there, or gone."""
        if isinstance(self._source, MemorySource):  # which never changes
            return
        with self._lock:
            if on:
                self._views[view] = time.monotonic()
            else:
                self._views.pop(view, None)
            if self._views and self._ending is None:
                self._ending = threading.Event()
                threading.Thread(target=self._run, args=(self._ending,), name="convscope-notebook", daemon=True).start()
            elif not self._views:
                self._stop()

    def stop(self) -> None:
        """Tell nobody any more."""
        with self._lock:
            self._views.clear()
            self._stop()

    def _stop(self) -> None:
        if self._ending is not None:
            self._ending.set()
            self._ending = None

    def _run(self, ending: threading.Event) -> None:
        told = -1
        while not ending.wait(WATCH_SECONDS):
            widget = self._widget()
            if widget is None or not self._is_watched():
                return
            version = self._source.version()
            if version != told:
                told = version
                widget.send({"version": version})

    def _is_watched(self) -> bool:
        """Forget the pages that are gone; tell whether there are others."""
        with self._lock:
            now = time.monotonic()
            self._views = {view: heard for view, heard in self._views.items() if now - heard < GONE_SECONDS}
            if not self._views:
                self._stop()
            return bool(self._views)
