"""The demo from end to end: the viewer first, then stage after stage, each visible while it runs."""

from __future__ import annotations

import time
import webbrowser
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import torch
from rich.console import Console
from rich.progress import Progress
from rich.text import Text

from convscope import __version__
from convscope.console import Bar, bars
from convscope.demo.digits import Digits, load_digits
from convscope.demo.photographs import load_photographs
from convscope.demo.stages import WORK, Ledger
from convscope.demo.training import Recipe, save_weights, train
from convscope.errors import DownloadError, InputError
from convscope.jobs.channels import record_top_k
from convscope.jobs.filters import record_ablation, record_importance, record_weight_gradients
from convscope.jobs.maps import record_maps
from convscope.jobs.record import record_embedding, record_filters, record_volumes
from convscope.nets import zoo
from convscope.nets.architectures import mnist
from convscope.nets.download import Client, Network
from convscope.nets.torch import Model
from convscope.nets.weights import read_weights
from convscope.recording import SummaryWriter
from convscope.view import RunningServer, serve

WEIGHTS: Final = f"{WORK}/mnist.safetensors"
STAGES: Final[Mapping[str, tuple[str, ...]]] = {
    "training": ("mnist/training", WEIGHTS),
    "channels": ("mnist/channels",),
    "embedding": ("mnist/embedding",),
    "volumes": ("mnist/volumes",),
    "filters": ("mnist/filters",),
    "alexnet": ("alexnet",),
}
NETWORK: Final = "MNIST ConvNet"
RULES: Final = ("deconvnet", "guided_backprop")
VIEWS_OF_EACH: Final = 5
"""Of each photograph: the whole and four quarters."""
MEGABYTE: Final = 1 << 20
LABELS: Final = {
    "training": "training the MNIST ConvNet",
    "embedding": "t-SNE of the digits",
    "volumes": "stacking feature maps",
    "filters": "what each filter matters",
}


@dataclass(frozen=True)
class Scale:
    """How much the demo does."""

    recipe: Recipe
    searched: int
    embedded: int
    iterations: int
    volumes: int
    alexnet_top: int = 9
    measured: int = 500


FULL: Final = Scale(Recipe(epochs=6, pictures=10_000), 10_000, 2304, 750, 10)
QUICK: Final = Scale(Recipe(epochs=3, pictures=2_000), 1_000, 576, 300, 4, alexnet_top=4, measured=100)


class Offline:
    """A client that fetches nothing: what is not in the cache is not to be had."""

    def package(self, *_: object, **__: object) -> None:
        """Refuse."""
        raise OSError("--offline was asked for")

    url = package


@dataclass(frozen=True)
class DemoOptions:
    """What the user asked for.

    Attributes
    ----------
    out
        The directory the demo writes to; it has to be new, empty or the demo's own.
    quick
        Do less: under a minute.
    seed
        Of the weights, the order of the pictures and t-SNE.
    alexnet
        Whether AlexNet takes part; ``None``: if it can be had, and not in a quick demo.
    offline
        Use no network at all.
    port, open_browser
        Where the viewer listens, and whether the browser is opened.
    stay
        Keep the viewer running when all is done, until Ctrl-C.
    """

    out: Path = Path("runs/demo")
    quick: bool = False
    seed: int = 0
    alexnet: bool | None = None
    offline: bool = False
    port: int = 6007
    open_browser: bool = True
    stay: bool = True

    def __post_init__(self) -> None:
        if not 0 <= self.seed < 2**32:
            raise InputError(f"a seed is a whole number from 0 to {2**32 - 1}, got {self.seed}")

    @property
    def with_alexnet(self) -> bool:
        """Whether AlexNet is to take part, if it can be had."""
        return not self.quick if self.alexnet is None else self.alexnet

    @property
    def client(self) -> Client:
        """What files are fetched with."""
        return Offline() if self.offline else Network()

    @property
    def scale(self) -> Scale:
        """How much is done."""
        return QUICK if self.quick else FULL


def run_demo(options: DemoOptions, console: Console) -> None:
    """Do the main job and keep the viewer open; see :class:`DemoOptions`.

    Raises
    ------
    InputError, StorageError
        If the output directory is not the demo's or cannot be written, or no port can be had.
    """
    with Ledger(options.out) as ledger, serve(options.out, port=options.port) as server:
        _announce(server, options, console)
        started = time.monotonic()
        _run_stages(options, ledger, console)
        console.print(f"done in {time.monotonic() - started:.0f} s; the results are in {options.out}")
        if options.stay:
            console.print(f"the viewer stays open at {server.url} until Ctrl-C; later: convscope view {options.out}")
            server.wait()


def _announce(server: RunningServer, options: DemoOptions, console: Console) -> None:
    if server.port != options.port and options.port:
        console.print(f"port {options.port} is in use; taking {server.port}")
    console.print(Text("viewer: ") + Text(server.url, style=f"link {server.url}"))
    if options.open_browser:
        webbrowser.open(server.url)


def _run_stages(options: DemoOptions, ledger: Ledger, console: Console) -> None:
    wanted = [stage for stage in STAGES if stage != "alexnet" or options.with_alexnet]
    torch.manual_seed(options.seed)
    with bars(console) as progress:
        digits = load_digits(Bar(progress, "fetching MNIST (MB)", MEGABYTE), options.client)
        if digits.note:
            console.print(digits.note, soft_wrap=True)
        settings = {"version": __version__, "quick": options.quick, "seed": options.seed, "digits": digits.name}
        if note := ledger.begin(settings, STAGES):
            console.print(note, style="dim")
        if all(stage in ledger.done for stage in wanted):
            console.print("everything is there already; choose another --seed or --out to do it anew")
            return
        job = _Job(options, ledger, digits, progress, console)
        for stage in wanted:
            if stage not in ledger.done and getattr(job, stage)():
                ledger.finish(stage)


class _Job:
    """The stages; each is a method of its name that says whether it was done."""

    def __init__(
        self, options: DemoOptions, ledger: Ledger, digits: Digits, progress: Progress, console: Console
    ) -> None:
        self._options = options
        self._scale = options.scale
        self._ledger = ledger
        self._digits = digits
        self._progress = progress
        self._console = console
        self._weights = ledger.path / WEIGHTS

    def _bar(self, label: str) -> Bar:
        return Bar(self._progress, label)

    def _writer(self, stage: str) -> SummaryWriter:
        return SummaryWriter(self._ledger.path / STAGES[stage][0])

    def _model(self) -> Model:
        size = self._digits.size
        net = mnist(size)
        net.load_state_dict({name: torch.from_numpy(array) for name, array in read_weights(self._weights).items()})
        return Model(net, input_shape=(1, size, size), name=NETWORK)

    @staticmethod
    def _record_network(model: Model, writer: SummaryWriter) -> None:
        writer.add(model.architecture(), model.name)
        record_filters(model, writer, [layer.name for layer in model.layers if layer.kind == "Conv2d"])

    def training(self) -> bool:
        torch.manual_seed(self._options.seed)
        net = mnist(self._digits.size)
        with self._writer("training") as writer:
            accuracy = train(
                net,
                self._digits,
                self._scale.recipe,
                writer,
                seed=self._options.seed,
                network=NETWORK,
                progress=self._bar(LABELS["training"]),
            )
        save_weights(net, self._weights)
        self._console.print(f"{self._digits.name}: {accuracy:.1%} of {len(self._digits.test):,} test digits right")
        return True

    def channels(self) -> bool:
        model, images = self._model(), self._digits.test.part(0, self._scale.searched)
        with self._writer("channels") as writer:
            self._record_network(model, writer)
            labels = np.asarray(images.labels)
            firsts = [int(np.flatnonzero(labels == digit)[0]) for digit in range(self._scale.volumes)]
            record_maps(model, images, writer, layers=None, numbers=firsts, classes=images.label_names)
            record_top_k(
                model,
                images,
                writer,
                rules=RULES,
                checkpoint=self._ledger.work / "channels.checkpoint",
                bar=lambda label: self._bar(f"digits: {label}"),
            )
        return True

    def embedding(self) -> bool:
        model, images = self._model(), self._digits.test.part(0, self._scale.embedded)
        answers = np.concatenate(
            [model.predict(images.images(i, min(i + 500, len(images)))) for i in range(0, len(images), 500)]
        )
        named = answers.argmax(1)
        columns = {
            "predicted": [str(digit) for digit in named],
            "verdict": ["right" if a == b else "wrong" for a, b in zip(named, np.asarray(images.labels), strict=True)],
        }
        with self._writer("embedding") as writer:
            record_embedding(
                model,
                images,
                writer,
                layer="fc1",
                count=self._scale.embedded,
                seed=self._options.seed,
                iterations=self._scale.iterations,
                columns=columns,
                progress=self._bar(LABELS["embedding"]),
            )
        return True

    def volumes(self) -> bool:
        model, images = self._model(), self._digits.test
        labels = np.asarray(images.labels)
        firsts = [int(np.flatnonzero(labels == digit)[0]) for digit in range(self._scale.volumes)]
        bar = self._bar(LABELS["volumes"])
        with self._writer("volumes") as writer:
            for done, number in enumerate(firsts, 1):
                record_volumes(model, images, writer, layer="relu1", numbers=[number])
                bar(done, len(firsts))
        return True

    def filters(self) -> bool:
        model, images = self._model(), self._digits.test.part(0, self._scale.measured)
        with self._writer("filters") as writer:
            writer.add(model.architecture(), model.name)
            few = images.part(0, self._scale.volumes)
            record_weight_gradients(model, few, writer, layer="conv1", classes="label")
            means = record_weight_gradients(model, images, writer, layer="conv1", classes="label", mean=True)
            volumes = [means.volume(row) for row in range(len(means.groups))]
            order = volumes[0].ordered("hierarchical")  # of one digit, so that a filter keeps its place in all frames
            for group, volume in zip(means.groups, volumes, strict=True):
                writer.add(volume.apply(order), f"conv1/{group.name}")
            for layer in ("conv1", "conv2"):
                importance = record_importance(model, images, writer, layer=layer)
                bar = self._bar(f"{LABELS['filters']}: {layer}")
                record_ablation(
                    model, images, writer, layer=layer, importance=importance, points=17, single=True, progress=bar
                )
        return True

    def _alexnet(self) -> Model:
        entry = zoo.ZOO["alexnet"]
        net = zoo.load("alexnet", progress=Bar(self._progress, "fetching AlexNet's weights (MB)", MEGABYTE),
                       client=self._options.client)  # fmt: skip
        return Model(net, input_shape=entry.input_shape, preprocessing=entry.preprocessing, name="AlexNet")

    def alexnet(self) -> bool:
        try:
            model = self._alexnet()
            images = load_photographs(
                zoo.ZOO["alexnet"].preprocessing,
                progress=Bar(self._progress, "fetching photographs (MB)", MEGABYTE),
                client=self._options.client,
            )
        except DownloadError as error:
            if self._options.alexnet:
                raise
            self._console.print(f"AlexNet is left out: {error}", soft_wrap=True)
            return False
        with self._writer("alexnet") as writer:
            self._record_network(model, writer)
            whole = range(0, len(images), VIEWS_OF_EACH)
            record_maps(model, images, writer, layers=None, numbers=whole)
            record_volumes(model, images, writer, layer="features.1", numbers=whole)
            record_top_k(
                model,
                images,
                writer,
                k=self._scale.alexnet_top,
                rules=RULES,
                bar=lambda label: self._bar(f"AlexNet: {label}"),
            )
        return True
