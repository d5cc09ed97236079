"""A tab in TensorBoard: the viewer's page, over the same directory of runs.

TensorBoard imports this file when it starts, and ends if that fails: so it imports nothing but what TensorBoard has
loaded itself. The viewer is loaded when the tab is opened; whatever goes wrong then is a sentence in the tab.
"""

from __future__ import annotations

import html
import json
import logging
import os
import re
import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Final

from tensorboard.plugins.base_plugin import FrontendMetadata, TBLoader, TBPlugin

NAME: Final = "convscope"
MOUNT: Final = f"/data/plugin/{NAME}/app"
"""Where TensorBoard puts us, behind its own path prefix."""
DATA: Final = (
    *(NAME, "scalars", "histograms", "images", "audio", "text", "graphs", "hparams", "pr_curves", "mesh"),
    *("custom_scalars", "projector"),
)
"""The plugins whose values the page shows: the tab is there as soon as TensorBoard has found some of one."""
_ENTRY: Final = """// TensorBoard calls this in the frame of the tab; the page itself is served beside it.
export function render() {
  location.replace(new URL("app/index.html?host=tensorboard", document.baseURI));
}
"""
RECORDS: Final = "records"
_MOST_FOLDERS: Final = 500
_POLICY: Final = "default-src 'none'; style-src 'unsafe-inline'"
_URL: Final = re.compile(r"[a-zA-Z][0-9a-zA-Z.+-]*://")
_log = logging.getLogger(__name__)

Wsgi = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


class ConvscopeLoader(TBLoader):  # type: ignore[misc]  # TensorBoard has no types
    """What the entry point ``tensorboard_plugins`` names."""

    def load(self, context: Any) -> ConvscopePlugin:
        """Return the plugin; nothing is read yet."""
        return ConvscopePlugin(context)


class ConvscopePlugin(TBPlugin):  # type: ignore[misc]
    """The tab.

    Parameters
    ----------
    context
        TensorBoard's ``TBContext``; of it we take where the runs are.
    """

    plugin_name = NAME

    def __init__(self, context: Any) -> None:
        flags = getattr(context, "flags", None)
        self._logdir = str(getattr(context, "logdir", None) or "")
        self._spec = "" if self._logdir else str(getattr(flags, "logdir_spec", None) or "")
        self._lock = threading.Lock()
        self._app: Wsgi | None = None
        self._is_active = False

    def get_plugin_apps(self) -> dict[str, Wsgi]:
        """Return what answers under which address."""
        return {"/index.js": entry, "/app/*": self.page}

    def is_active(self) -> bool:
        """Say whether the tab is there although TensorBoard has found no value of :data:`DATA`: for our own results."""
        if not self._is_active:
            self._is_active = any(has_records(str(path)) for path in places(self._logdir, self._spec))
        return self._is_active

    def data_plugin_names(self) -> tuple[str, ...]:
        """Return the plugins whose values the page shows."""
        return DATA

    def frontend_metadata(self) -> Any:
        """Return how the tab is made: a frame, which hears of news by itself."""
        return FrontendMetadata(es_module_path="/index.js", tab_name=NAME, disable_reload=True)

    def page(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Answer a request of the page; nothing that fails here gets further."""
        try:
            return self._viewer()(environ, start_response)
        except Exception as error:  # noqa: BLE001 - TensorBoard goes on, whatever it was
            _log.warning("convscope cannot answer %s", environ.get("PATH_INFO"), exc_info=True)
            return _failed(error, environ, start_response)

    def _viewer(self) -> Wsgi:
        with self._lock:
            if self._app is None:
                self._app = make_app(self._logdir, self._spec)
            return self._app


def make_app(logdir: str, spec: str) -> Wsgi:
    """Load the viewer for the directory, or the directories, that TensorBoard shows."""
    from convscope.errors import InputError
    from convscope.view.guard import Access
    from convscope.view.serve import stored_source
    from convscope.view.server import create_app
    from convscope.view.wsgi import InWsgi

    if not logdir and not spec:
        raise InputError("TensorBoard was started without a directory of runs; give it one: tensorboard --logdir runs")
    source = stored_source(logdir or directories(spec))
    access = Access(hosts=frozenset({"*"}), read_only=True, framed=True)  # whom TensorBoard answers, we answer
    app = create_app(source, access=access)
    threading.Thread(target=getattr(source, "read", bool), name="convscope-reader", daemon=True).start()
    return InWsgi(app, MOUNT)


def places(logdir: str, spec: str) -> list[str | Path]:
    """Return the directories that TensorBoard shows."""
    return [logdir] if logdir else list(directories(spec).values())


def has_records(path: str) -> bool:
    """Say whether a directory holds results of ours; TensorBoard waits for the answer, so not all of it is searched."""
    return any(RECORDS in names for _, (_, names, _) in zip(range(_MOST_FOLDERS), os.walk(path), strict=False))


def directories(spec: str) -> dict[str, str | Path]:
    """Return the directories of ``--logdir_spec``, ``a:/runs/1,b:/runs/2,/runs/3``, by names that tell them apart.

    >>> directories("a:/runs/1,/runs/2,a:/runs/3")
    {'a': '/runs/1', '2': '/runs/2', 'a (2)': '/runs/3'}
    """
    found: dict[str, str | Path] = {}
    for part in filter(None, spec.split(",")):
        is_path = part.startswith("/") or ":" not in part or _URL.match(part) or os.path.splitdrive(part)[0]
        name, _, path = ("", "", part) if is_path else part.partition(":")
        path = path if _URL.match(path) else os.path.expanduser(path)  # noqa: PTH111 - pathlib's may fail
        name = (name or Path(path).name or "runs").replace("/", "-")
        number, free = 1, name
        while free in found:
            number += 1
            free = f"{name} ({number})"
        found[free] = path
    return found


def entry(_: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """Answer the script that TensorBoard begins with."""
    return _answer(start_response, "200 OK", "text/javascript; charset=utf-8", _ENTRY.encode())


def _failed(error: Exception, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """Answer what went wrong: as JSON to the page, as a page to whoever opens it."""
    said = str(error) if type(error).__module__.startswith("convscope.") else f"{type(error).__name__}: {error}"
    sentence = f"convscope cannot be shown here ({said}). TensorBoard's other tabs are not affected."
    if "/app/api/" in environ.get("PATH_INFO", ""):
        content, kind = json.dumps({"error": sentence}), "application/json"
    else:
        style = "font: 15px/1.5 system-ui, sans-serif; margin: 3em auto; max-width: 40em; padding: 0 1em"
        page = '<!doctype html><html lang="en"><meta charset="utf-8"><meta name="color-scheme" content="light dark">'
        content = f'{page}<title>convscope</title><p role="alert" style="{style}">{html.escape(sentence)}</p></html>'
        kind = "text/html; charset=utf-8"
    return _answer(start_response, "500 Internal Server Error", kind, content.encode(errors="replace"))


def _answer(start_response: Callable[..., Any], status: str, kind: str, content: bytes) -> Iterable[bytes]:
    headers = {
        "content-type": kind,
        "content-length": str(len(content)),
        "content-security-policy": _POLICY,
        "cache-control": "no-store",
        "x-content-type-options": "nosniff",
    }
    start_response(status, list(headers.items()))
    return [content]
