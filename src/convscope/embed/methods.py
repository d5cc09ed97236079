"""The methods of projection, and the one door to them: :func:`project`."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from convscope.embed.axes import project_axes
from convscope.embed.pca import pca as principal_components
from convscope.embed.place import LAID_OUT, SAMPLE, Placement, stratified_sample
from convscope.embed.projection import Projection, versions
from convscope.embed.quality import measure
from convscope.embed.tsne import Descent, Settings
from convscope.embed.umap import project_umap
from convscope.embed.vectors import reduced, refuse_unfinite
from convscope.errors import InputError, not_found

PCA_FIRST: Final = 50
"""t-SNE and UMAP see this many principal components."""
Report = Callable[[Projection], None]
Method = Callable[..., Any]


def project_pca(
    vectors: npt.NDArray[Any], *, dimensions: int = 2, seed: int = 0, metric: str = "euclidean", solver: str = "auto"
) -> Projection:
    """Project on the first principal components; see :func:`convscope.embed.pca`.

    Dimensions that the vectors do not have are 0.
    """
    if dimensions not in (2, 3):
        raise InputError(f"a projection has 2 or 3 dimensions, not {dimensions}")
    data = reduced(vectors, metric, 0)
    points, explained = principal_components(data, dimensions, solver=solver, seed=seed)
    points = np.pad(points, ((0, 0), (0, dimensions - points.shape[1])))
    parameters = {"dimensions": dimensions, "seed": seed, "metric": metric, "solver": solver, "versions": versions()}
    return Projection(points, "pca", parameters=parameters, explained_variance=[float(share) for share in explained])


def project_tsne(
    vectors: npt.NDArray[Any],
    *,
    metric: str = "euclidean",
    pca: int = PCA_FIRST,
    start: Any = None,
    callback: Report | None = None,
    every: int | None = None,
    **settings: Any,
) -> Projection:
    """Project by t-SNE; see :func:`convscope.embed.tsne` for the settings.

    Parameters
    ----------
    vectors
        ``(N, D)``.
    metric
        ``euclidean`` or ``cosine``: for the latter all vectors are scaled to length 1 first.
    pca
        t-SNE sees so many principal components; 0 for the vectors as they are.
    start
        An earlier :class:`Projection`, or its points, to go on from without early exaggeration.
    callback, every
        Called with the start layout and then every so many iterations; see :func:`frames_apart`.
    """
    if every is not None and every < 1:
        raise InputError(f"frames are at least 1 iteration apart, not {every}")
    descent = Descent(reduced(vectors, metric, pca), Settings.of(settings), start=start)
    apart = every or frames_apart(len(vectors))
    parameters = tsne_parameters(descent, metric, pca, warm=start is not None)
    if callback:
        callback(tsne_projection(descent, parameters))
    while not descent.done:
        descent.advance(min(apart, descent.iterations - descent.iteration), measure=callback is not None)
        if callback and not descent.done:
            callback(tsne_projection(descent, parameters))
    return tsne_projection(descent, parameters)


def start_of(start: Any, count: int) -> npt.NDArray[Any]:
    """Return the points of a layout to start from, or refuse one that has another number of them."""
    points = np.asarray(getattr(start, "points", start))
    if points.ndim != 2 or len(points) != count:
        raise InputError(f"a layout to start from has a row for each of the {count} vectors, got shape {points.shape}")
    return points


def frames_apart(count: int) -> int:
    """Return how many iterations lie between two frames of so many points: 150 frames of a few, 15 of very many."""
    return 5 if count <= 20_000 else 10 if count <= LAID_OUT else 50


def tsne_parameters(descent: Descent, metric: str, pca: int, *, warm: bool = False) -> dict[str, Any]:
    """Return what a t-SNE was made with, as a record keeps it."""
    asked = asdict(descent.settings) | {"iterations": descent.iterations, "engine": descent.engine}
    used = {"perplexity_used": descent.perplexity, "metric": metric, "pca": pca, "warm_start": warm}
    packages = ["openTSNE"] if descent.engine == "opentsne" else []
    return asked | used | {"versions": versions(*packages)}


def tsne_projection(descent: Descent, parameters: Mapping[str, Any], identity: str | None = None) -> Projection:
    """Return the layout of a t-SNE as it is now."""
    kl = descent.kl if np.isfinite(descent.kl) else None
    at = descent.points.astype(np.float32)
    found = Projection(at, "tsne", descent.iteration, descent.iterations, kl, parameters=parameters)
    return found if identity is None else replace(found, identity=identity)


PROJECTIONS: Final[Mapping[str, Callable[..., Projection]]] = {
    "pca": project_pca,
    "tsne": project_tsne,
    "umap": project_umap,
    "axes": project_axes,
}
LINEAR: Final = ("pca", "axes")
"""Methods that lay out any number of points themselves."""


def project(
    vectors: npt.NDArray[Any],
    method: str | Method = "tsne",
    *,
    labels: npt.NDArray[Any] | None = None,
    label_names: Sequence[str] = (),
    quality: bool = True,
    sample: int | None = None,
    callback: Report | None = None,
    **parameters: Any,
) -> Projection:
    """Lay vectors out in two or three dimensions and measure how well that keeps their neighbourhoods.

    >>> project(np.random.default_rng(0).normal(size=(40, 6)), "pca", dimensions=3).points.shape
    (40, 3)

    Parameters
    ----------
    vectors
        ``(N, D)``, also memory-mapped float16.
    method
        A name of :data:`PROJECTIONS`, or a function that takes the vectors and ``**parameters`` and returns ``(N, 2)``
        or ``(N, 3)``.
    labels, label_names
        ``(N,)``, negative for unknown: for custom axes, quality and a sample that holds every class.
    quality
        Whether to measure it.
    sample
        Above 100,000 points, so many (25,000) are laid out, the others placed by their nearest neighbours among them.
        Given, it holds for fewer points, too.
    callback
        Called with the layout on its way, by methods that have iterations.
    **parameters
        What the method takes; all take ``dimensions`` (2 or 3), ``seed`` and ``metric``.

    Raises
    ------
    NotFoundError
        If no method goes by that name.
    InputError
        If vectors hold NaN, or the parameters make no sense.
    """
    data = np.asanyarray(vectors)
    function = method_of(method)
    given = {"labels": labels, "label_names": label_names, "callback": callback}
    taken = inspect.signature(function).parameters
    parameters |= {name: value for name, value in given.items() if name in taken and value is not None}
    several = any(kind.kind is kind.VAR_KEYWORD for kind in taken.values())
    if not several and (wrong := sorted(set(parameters) - set(taken))):
        raise not_found(f"parameter of {method}", wrong[0], list(taken)[1:])
    wanted = sample or (SAMPLE if len(data) > LAID_OUT else 0)
    if wanted and wanted < len(data) and method not in LINEAR:
        found = _sampled(function, data, labels, wanted, parameters)
    else:
        found = function(data, **parameters)
    if not quality:
        return found
    scores, count = measure(data, found.points, labels, metric=found.parameters.get("metric", "euclidean"))
    return replace(found, quality=scores, quality_of=count)


def method_of(method: str | Method) -> Callable[..., Projection]:
    """Return the method of a name, or a function of one's own as a method."""
    if isinstance(method, str):
        if method not in PROJECTIONS:
            raise not_found("projection", method, PROJECTIONS)
        return PROJECTIONS[method]

    def own(vectors: npt.NDArray[Any], **parameters: Any) -> Projection:
        refuse_unfinite(vectors)
        points = np.asarray(method(np.asarray(vectors, np.float32), **parameters), np.float32)
        name = str(getattr(method, "__name__", type(method).__name__))
        if points.ndim != 2 or points.shape[0] != len(vectors) or points.shape[1] not in (2, 3):
            raise InputError(f"{name} returned {points.shape} for {len(vectors)} vectors; return (N, 2) or (N, 3)")
        if not np.isfinite(points).all():
            raise InputError(f"{name} returned positions that are NaN or infinite; return finite ones")
        plain = {key: value for key, value in parameters.items() if isinstance(value, str | int | float | bool)}
        return Projection(points, name, parameters=plain | {"versions": versions()})

    return own


def _sampled(
    function: Callable[..., Projection],
    data: npt.NDArray[Any],
    labels: npt.NDArray[Any] | None,
    wanted: int,
    parameters: dict[str, Any],
) -> Projection:
    """Lay out a sample and place the others."""
    metric, first = parameters.get("metric", "euclidean"), parameters.get("pca", PCA_FIRST)
    seed = int(parameters.get("seed", 0))
    space = reduced(data, metric, first)
    placement = Placement(space, stratified_sample(len(data), wanted, labels=labels, seed=seed))
    while not placement.done:
        placement.advance()
    chosen = placement.chosen
    told = {"sample": len(chosen), "metric": metric, "pca": first}

    def whole(part: Projection) -> Projection:
        at = placement.apply(part.points)
        return replace(part, points=at, placed=placement.placed, parameters={**part.parameters, **told})

    report = parameters.get("callback")
    inner = parameters | ({"callback": lambda part: report(whole(part))} if report else {})
    inner |= {name: 0 if name == "pca" else "euclidean" for name in ("metric", "pca") if name in _taken(function)}
    if inner.get("labels") is not None:
        inner["labels"] = np.asarray(labels)[chosen]
    if inner.get("start") is not None:
        inner["start"] = start_of(inner["start"], len(data))[chosen]
    return whole(function(space[chosen], **inner))


def _taken(function: Callable[..., Any]) -> Mapping[str, Any]:
    return inspect.signature(function).parameters
