"""Write what excites the channels of a network: the search, a second look at what it found, and the way back."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from convscope.errors import InputError, not_found
from convscope.inspect.attribution import LRN, RULES, Attribution
from convscope.inspect.patches import shrink, tile_size
from convscope.inspect.proof import PROOF
from convscope.inspect.topk import SCORES, TopK, paste
from convscope.jobs.audit import Display, displayed, record_audit
from convscope.jobs.previews import with_previews
from convscope.jobs.projected import GREY, Projected
from convscope.jobs.record import Progress
from convscope.nets.data import ImageSet, KeptImages
from convscope.nets.projecting import MODES
from convscope.nets.top_maps import TopMaps
from convscope.nets.torch import Model
from convscope.recording import SummaryWriter
from convscope.summary import Summary

PUBLISH_SECONDS: Final = 3.0
SEARCHING: Final = "searching"
LOOKING: Final = "looking at the top images again"
PROJECTING: Final = "projecting back to pixels"
KEPT_BYTES: Final = 1 << 29
"""Of the pictures that are among the top ones, so much is kept decoded: 3,500 of 224×224 in colour."""
SEARCH_SHARE: Final = 9
"""Publishing takes at most a tenth of the time: the pages of a large network wait longer for the next state."""
BEHIND: Final = 1 / 8
"""The pages of a long search lag behind by an eighth of it: each published state stays on disk."""


@dataclass(frozen=True)
class Settings:
    """How channels are searched and projected back; what a record says of it."""

    rules: tuple[str, ...]
    proofs: int
    mode: str
    lrn: str
    score: str

    def check(self) -> None:
        """Raise an error for what cannot be.

        Raises
        ------
        NotFoundError, InputError
            If a rule, the score, the mode or the treatment of LRN is not there, or a number makes no sense.
        """
        if not self.rules:
            raise InputError("no rule was given; name at least one, as deconvnet")
        for noun, names, known in (
            ("rule", self.rules, RULES),
            ("score", (self.score,), SCORES),
            ("mode", (self.mode,), MODES),
            ("treatment of LRN", (self.lrn,), LRN),
        ):
            if unknown := [name for name in names if name not in known]:
                raise not_found(noun, unknown[0], known)
        if len(set(self.rules)) < len(self.rules):
            raise InputError(f"a rule is named twice in {', '.join(self.rules)}; name each once")
        if self.mode == "map" and (single := [name for name in self.rules if RULES[name].method != "backward"]):
            raise InputError(f"{single[0]} goes back from single positions; leave the mode at single")
        if self.proofs < 0:
            raise InputError(f"proof figures are computed for the first 0, 1, 2, … pictures, got {self.proofs}")


def record_top_k(  # noqa: PLR0913 - all but three are optional
    model: Model,
    images: ImageSet,
    writer: SummaryWriter,
    *,
    layers: Sequence[str] | None = None,
    k: int = 9,
    rules: Sequence[str] = ("deconvnet",),
    proofs: int = 1,
    maps: bool = True,
    score: str = "max",
    mode: str = "single",
    lrn: str = "constant",
    workers: int = 1,
    step: int = 0,
    checkpoint: Path | None = None,
    finished: Collection[tuple[str, str]] = (),
    bar: Callable[[str], Progress] | None = None,
) -> dict[str, TopK]:
    """Search the top images of every channel, look at them again, project them back, and audit the data set.

    The state of the search is published at most every three seconds, without projections; so is the audit once the
    search is done. The final record of a layer is written as soon as its projections are there.

    Parameters
    ----------
    model, images, writer
        The network, the images, and where the records go.
    layers
        Names of layers; ``None`` for every convolution.
    k
        Images per channel.
    rules
        How activations are projected back; each gives a picture sheet of its name.
    proofs
        For how many of each channel's images the proof figures are computed.
    maps
        Whether to write the activation maps of the top images.
    score, workers
        As in ``Model.top_k``.
    mode, lrn
        As in ``Model.attribute``.
    step
        The training step the network is at.
    checkpoint
        A file from which an interrupted search goes on.
    finished
        Records (kind, layer or network) that are there from an earlier call that was interrupted; they are not written
        again.
    bar
        Gives for what is being done something to call with (done, total).

    Returns
    -------
    dict[str, TopK]
        By the layers' names.
    """
    settings = Settings(tuple(rules), proofs, mode, lrn, score)
    settings.check()
    report = bar or _quiet
    work = _Recording(model, images, writer, settings, step, finished)
    found = model.top_k(
        images,
        layers=layers,
        k=k,
        checkpoint=checkpoint,
        progress=report(SEARCHING),
        publish=work.publish,
        score=score,
        workers=workers,
    )
    left, audited = work.left(found), ("audit", model.name) in finished
    chosen = work.keep(left if audited else found)
    if not audited:
        record_audit(found, chosen, writer, step=step)
    looked = model.top_maps(left, chosen, progress=report(LOOKING)) if maps and left else {}
    work.project(left, looked, report(PROJECTING))
    return found


def _quiet(_: str) -> Progress:
    return lambda *_: None


class _Recording:
    """The records of one search while they are made."""

    def __init__(
        self,
        model: Model,
        images: ImageSet,
        writer: SummaryWriter,
        settings: Settings,
        step: int,
        finished: Collection[tuple[str, str]],
    ) -> None:
        self._model, self._images, self._writer, self._settings = model, images, writer, settings
        self._step, self._finished = step, finished
        self._began = self._published = time.monotonic()
        self._pause = PUBLISH_SECONDS
        self.display = displayed(images)

    def keep(self, tops: Mapping[str, TopK]) -> ImageSet:
        """Return the images with those that were found decoded once and for all, as far as memory is set aside."""
        kept = KeptImages(self._images, KEPT_BYTES)
        self._images, self.display = kept, kept.display
        numbers = [np.unique(top.image[top.image >= 0]) for top in tops.values()]
        kept.keep(np.unique(np.concatenate(numbers)).tolist() if numbers else [])
        return kept

    def left(self, found: Mapping[str, TopK]) -> dict[str, TopK]:
        """Return the layers whose records are still to be written."""
        return {name: top for name, top in found.items() if ("topk", name) not in self._finished}

    def publish(self, found: Mapping[str, TopK]) -> None:
        """Write the state of the search, unless that was done just now."""
        began = time.monotonic()
        done = all(top.images_seen >= top.images_total for top in found.values())
        if began - self._published < (PUBLISH_SECONDS if done else self._pause):
            return
        for top in self.left(found).values():
            self._writer.add(self._summary(top))
        self._writer.flush()
        self._published = time.monotonic()
        took, so_far = self._published - began, self._published - self._began
        self._pause = max(PUBLISH_SECONDS, SEARCH_SHARE * took, BEHIND * so_far)

    def project(self, tops: Mapping[str, TopK], looked: Mapping[str, TopMaps], progress: Progress) -> None:
        """Project layer after layer back, and write the final record of each while the next one is projected."""
        total, done = sum(_slots(top) for top in tops.values()), 0
        with ThreadPoolExecutor(1, "convscope-write") as beside:
            writing: Future[None] | None = None
            for name, top in tops.items():
                projected, about = self._projected(top, _shifted(progress, done, total, _slots(top)))
                summary = with_previews(_with_projections(self._summary(top), projected, about, self._settings))
                if writing is not None:
                    writing.result()  # at most two layers are held
                writing = beside.submit(self._write, _with_maps(summary, looked.get(name)))
                done += _slots(top)
            if writing is not None:
                writing.result()

    def _write(self, summary: Summary) -> None:
        self._writer.add(summary)
        self._writer.flush()

    def _projected(self, top: TopK, progress: Progress) -> tuple[Projected, Attribution]:
        settings = self._settings
        projected = Projected.empty(top, self._images, settings.rules)
        about = self._model.attribute_each(
            top,
            self._images,
            keep=projected.keep,
            rules=settings.rules,
            mode=settings.mode,
            lrn=settings.lrn,
            proofs=settings.proofs,
            progress=progress,
        )
        return projected, about

    def _summary(self, top: TopK) -> Summary:
        """Return the record of one layer: what was found, and the patches."""
        meta = {
            "label_names": list(self._images.label_names),
            "preprocessing": self._images.preprocessing.to_json(),
            "whole_image": top.shows_whole_image,
        }
        size = tile_size(top.tile_size)
        return top.to_summary(
            step=self._step, patches=small_patches(top, self.display, size), labels=self._images.labels, meta=meta
        )


def _slots(top: TopK) -> int:
    return int((top.image >= 0).sum())


def _shifted(progress: Progress, before: int, total: int, own: int) -> Progress:
    """Return the progress of one layer as part of that of all."""
    return lambda done, of: progress(before + own * done // max(of, 1), total)


def small_patches(top: TopK, display: Display, size: tuple[int, int]) -> npt.NDArray[np.uint8]:
    """Cut out of the top images what the channels saw there, shrunk as it comes: ``(C, k, h, w, c)``."""
    first = next((int(image) for image in top.image.flat if image >= 0), 0)
    tiles = np.full((top.channels, top.k, *size, display(first).shape[2]), GREY, np.uint8)
    channels, ranks = np.nonzero(top.image >= 0)
    whole = np.full((*top.tile_size, tiles.shape[-1]), GREY, np.uint8)
    order = np.argsort(top.image[channels, ranks], kind="stable")  # an image is decoded once, for all channels
    slots = zip(channels[order].tolist(), ranks[order].tolist(), strict=True)
    for image, places in groupby(slots, lambda slot: int(top.image[slot])):
        picture = display(image)
        for slot in places:
            whole[:] = GREY
            paste(whole, picture, top.tile_box[slot])
            tiles[slot] = shrink(whole, size)
    return tiles


def _with_maps(summary: Summary, maps: TopMaps | None) -> Summary:
    """Add the activation maps, where there are any and they are more than a number."""
    if maps is None or maps.pictures.shape[2:4] == (1, 1):
        return summary
    return replace(
        summary,
        arrays={**summary.arrays, "map_scale": maps.scale},
        pictures={**summary.pictures, "map": maps.pictures},
    )


def _with_projections(summary: Summary, projected: Projected, about: Attribution, settings: Settings) -> Summary:
    arrays = {"recomputed": about.recomputed, "projection_scale": projected.scale}
    meta: dict[str, Any] = {
        "rules": list(projected.rules),
        "rule_reports": {name: report.sentence() for name, report in about.reports.items()},
        "engine": about.engine,
        "mismatches": about.mismatches,
        "mode": settings.mode,
        "lrn": settings.lrn,
    }
    if projected.has_proof:
        arrays["proof"] = projected.proof
        meta |= {"proof": list(PROOF), "proof_summary": projected.proof_summary()}
    return replace(
        summary,
        arrays={**summary.arrays, **arrays},
        pictures={**summary.pictures, **projected.pictures},
        meta={**summary.meta, **meta},
    )
