"""The addresses that compute with an embedding: projections that form, neighbours, what tells a selection.

Whoever acts passes :func:`convscope.view.sender.check_sender`. Reading a projection needs its key, which is told only
to the page that has started it.
"""

from __future__ import annotations

import asyncio
import struct
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import replace
from importlib.util import find_spec
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from convscope.embed.frames import Frame, Frames
from convscope.embed.projection import Projection
from convscope.embed.quality import measure
from convscope.embed.running import Running
from convscope.errors import InputError, StorageError, not_found
from convscope.view.parameters import CHANGES, PARAMETERS, STARTED, checked, checked_name, read_json
from convscope.view.projecting import Engine, Forming, Keep, Projections
from convscope.view.queries import ask, number
from convscope.view.sender import FRESH, RefusedError, check_sender, read_body
from convscope.view.source import LogdirSource, Source
from convscope.view.vectors import METRICS, Shelf, Vectors

MOST_JSON: Final = 64 << 10
MOST_POINTS: Final = 1 << 20
LOOK_SECONDS: Final = 0.03
STILL_SECONDS: Final = 10.0
_BODY_SECONDS: Final = 30
ACTIONS: Final = ("pause", "continue", "stop", "change", "keep")


def computing_routes(source: Source, closing: Callable[[], bool] = bool) -> list[Route]:
    """Return the routes to projections, neighbours and selections."""
    desk = Desk(source, Projections(closing))

    async def start(request: Request) -> Response:
        check_sender(request)
        text, data = await read_message(request, "the layout to start from", 12 * MOST_POINTS)
        wanted = read_json(text, {"run": str, "id": str, "method": str}, {"parameters": dict})
        forming = await run_in_threadpool(desk.start, wanted, data)
        return answer({"key": forming.key, **forming.status()})

    async def act(request: Request) -> Response:
        check_sender(request)
        text, _ = await read_message(request, "", 0)
        wanted = read_json(text, {"action": str}, {"parameters": dict})
        forming = desk.projections.get(request.path_params["key"])
        return answer(await run_in_threadpool(order, forming, wanted["action"], wanted.get("parameters") or {}))

    async def follow(request: Request) -> Response:
        forming = desk.projections.get(request.path_params["key"])
        content = frames_of(forming, number(request, "from", 0), request, closing)
        return StreamingResponse(content, media_type="application/octet-stream", headers=FRESH)

    def options(request: Request) -> Response:
        return answer(desk.options(ask(request, "run"), ask(request, "id")))

    def neighbours(request: Request) -> Response:
        vectors = desk.shelf.take(ask(request, "run"), ask(request, "id"))
        metric = request.query_params.get("metric", METRICS[0])
        point, k = number(request, "point"), number(request, "k", 10)
        return answer(vectors.neighbours(point, k, metric))

    async def selection(request: Request) -> Response:
        check_sender(request)
        text, data = await read_message(request, "the selection", 4 * MOST_POINTS)
        wanted = read_json(text, {"run": str, "id": str}, {"points": list, "k": int, "metric": str})
        return answer(await run_in_threadpool(desk.selection, wanted, data))

    return [
        Route("/api/project", options, methods=["GET"]),
        Route("/api/project", start, methods=["POST"]),
        Route("/api/project/{key}", follow, methods=["GET"]),
        Route("/api/project/{key}", act, methods=["POST"]),
        Route("/api/neighbours", neighbours, methods=["GET"]),
        Route("/api/selection", selection, methods=["POST"]),
    ]


class Desk:
    """What the addresses ask: the embeddings of a source, and the projections that form.

    Parameters
    ----------
    source
        What the viewer shows.
    projections
        What is computed.
    """

    def __init__(self, source: Source, projections: Projections) -> None:
        self.shelf = Shelf(source)
        self.projections = projections

    def options(self, run: str, record: str) -> dict[str, Any]:
        """Return what an embedding can be projected by, and why a projection cannot be kept, if so."""
        vectors = self.shelf.take(run, record)
        vectors.prepare()
        known = [method for method in PARAMETERS if method != "umap" or find_spec("umap")]
        unkept = ""
        try:
            self.shelf.source_of(run).writable(run)
        except StorageError as error:
            unkept = str(error)
        methods = known if (vectors.labels >= 0).any() else [method for method in known if method != "axes"]
        return {"methods": methods, "unkept": unkept}

    def start(self, wanted: Mapping[str, Any], data: bytes) -> Forming:
        """Start a projection, from the layout in ``data`` where there is one."""
        method = wanted["method"]
        if method not in PARAMETERS:
            raise not_found("method", method[:60], PARAMETERS)
        parameters = checked(PARAMETERS[method], wanted.get("parameters") or {})
        vectors = self.shelf.take(wanted["run"], wanted["id"])
        if data:
            if method not in STARTED:
                raise InputError(f"{method} starts from nothing; only {', '.join(STARTED)} starts from a layout")
            parameters["start"] = layout(data, len(vectors), parameters.get("dimensions", 2))
        keep = keeper(self.shelf.source_of(wanted["run"]), wanted["run"], vectors)
        return self.projections.start(lambda: engine(vectors, method, parameters), keep)

    def selection(self, wanted: Mapping[str, Any], data: bytes) -> dict[str, Any]:
        """Return what tells a selection: its numbers are in the JSON or, 32 bits each, behind it."""
        if data and len(data) % 4:
            raise InputError(f"a selection is 32-bit numbers, got {len(data)} bytes; send four for each point")
        listed = wanted.get("points") or []
        if not all(isinstance(one, int) and not isinstance(one, bool) and 0 <= one < 1 << 31 for one in listed):
            raise InputError("the field 'points' is a list of whole numbers from 0 on; send the numbers of points")
        points = np.frombuffer(data, "<u4") if data else np.array(listed, np.int64)
        vectors = self.shelf.take(wanted["run"], wanted["id"])
        return vectors.selection(points.astype(np.int64), wanted.get("k", 10), wanted.get("metric", METRICS[0]))


def engine(vectors: Vectors, method: str, parameters: Mapping[str, Any]) -> Engine:
    """Return what computes a projection of an embedding, with one core."""
    options = dict(parameters) | ({"threads": 1} if method == "tsne" else {})
    names = vectors.record.meta.get("label_names") or ()
    return Running(vectors.values, method, labels=vectors.labels, label_names=names, **options)


def layout(data: bytes, count: int, dimensions: int) -> npt.NDArray[np.float32]:
    """Return the positions ``(count, dimensions)`` that were sent, as large as t-SNE lays out so many points."""
    points = np.frombuffer(data, "<f4") if len(data) % 4 == 0 else np.zeros(0, np.float32)
    if points.size != count * dimensions or not np.isfinite(points).all():
        raise InputError(
            f"the layout to start from is {count} × {dimensions} finite 32-bit numbers, got {len(data)} bytes"
        )
    centred: npt.NDArray[np.float32] = points.reshape(count, dimensions) - points.reshape(count, dimensions).mean(0)
    spread = float(np.quantile(np.linalg.norm(centred, axis=1), 0.98))
    if spread > 0:
        centred *= np.float32(natural_spread(count) / spread)
    return centred


def natural_spread(count: int) -> float:
    """Return about how far from the centre t-SNE puts points: a page shows a layout at any size."""
    return 0.6 * float(np.sqrt(count))


def keeper(source: LogdirSource, run: str, vectors: Vectors) -> Keep:
    """Return what writes a projection of an embedding into its run."""

    def keep(projection: Projection, frames: list[Frame], name: str) -> str:
        from convscope.recording import SummaryWriter

        place = source.writable(run)
        record = vectors.record
        place.refresh()
        taken = {entry.tag for entry in place.entries("projection") if entry.step == record.step}
        base = f"{record.tag}/{name or projection.method}"
        tag = next(t for t in (base, *(f"{base}-{n}" for n in range(2, len(taken) + 3))) if t not in taken)
        metric = str(projection.parameters.get("metric", "euclidean"))
        quality, count = measure(vectors.values, projection.points, vectors.labels, metric=metric)
        whole = replace(projection, embedding=record.id, frames=Frames.of(frames), quality=quality, quality_of=count)
        with SummaryWriter(place.path) as writer:
            writer.add(whole, tag, record.step)
        return tag

    return keep


def order(forming: Forming, action: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Do what is asked of a projection, and return where it stands then."""
    if action not in ACTIONS:
        raise not_found("action", action[:60], ACTIONS)
    if action == "change":
        forming.change(**checked(CHANGES, parameters))
    elif action == "keep":
        forming.keep(checked_name(checked_field(parameters, "name", "")))
    elif parameters:
        raise InputError(f"the action {action!r} takes no parameters, got {', '.join(parameters)[:60]}")
    else:
        {"pause": forming.pause, "continue": forming.go_on, "stop": forming.stop}[action]()
    return forming.status()


def checked_field(parameters: Mapping[str, Any], name: str, default: object) -> object:
    """Return the only parameter that is taken."""
    for other in parameters:
        if other != name:
            raise not_found("parameter", other[:60], [name])
    return parameters.get(name, default)


async def frames_of(forming: Forming, seen: int, request: Request, closing: Callable[[], bool]) -> AsyncIterator[bytes]:
    """Yield the newest of a projection whenever there is something new; end with it."""
    quiet = STILL_SECONDS
    with forming.followed():
        while not closing() and not await request.is_disconnected():
            number = forming.number
            if number > seen or quiet >= STILL_SECONDS:
                over = forming.over
                yield await run_in_threadpool(forming.news, seen)  # the reader takes it before the next is made
                seen, quiet = max(number, seen), 0.0
                if over:
                    return
            await asyncio.sleep(LOOK_SECONDS)
            quiet += LOOK_SECONDS


async def read_message(request: Request, what: str, most: int) -> tuple[bytes, bytes]:
    """Return the JSON that a request sends, and the data behind it where it may send any.

    A body is JSON alone (``application/json``), or a 32-bit length, so much JSON, and data behind it
    (``application/octet-stream``).
    """
    kind = request.headers.get("content-type", "").split(";")[0].strip().lower()
    if kind not in ("application/json", "application/octet-stream") or (kind.endswith("stream") and not most):
        raise RefusedError(415, "this address takes JSON; send it with the content type application/json")
    binary = kind.endswith("stream")
    limit = MOST_JSON + (most + 4 if binary else 0)
    large = f"{what or 'the request'} has at most {limit:,} bytes; send less"
    body = await read_body(request, what or "the request", most=limit, large=large, seconds=_BODY_SECONDS)
    if not binary:
        return body, b""
    size = struct.unpack("<I", body[:4])[0] if len(body) >= 4 else MOST_JSON + 1
    if size > MOST_JSON or 4 + size > len(body):
        raise InputError(f"a body of {len(body)} bytes begins with the length of its JSON, at most {MOST_JSON:,}")
    return body[4 : 4 + size], body[4 + size :]


def answer(content: object) -> Response:
    """Return JSON that is made anew each time."""
    return JSONResponse(content, headers=FRESH)
