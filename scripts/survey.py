"""Look into every classification network of torchvision and hundreds of timm's, and write down what came out.

For each, with random weights: are there layers, and are the activations of all modules bit for bit those that plain
forward hooks see (while functions are watched too, to a thousandth, since torch then takes no short cuts)? With weights
that are all positive: is a receptive field that is not the whole image exactly where the gradient of a position lands,
for the first, the middle and the last such module? The table goes to ``docs/architectures.md``.
"""

from __future__ import annotations

import argparse
import gc
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))
import shim_torchvision  # noqa: E402, F401 - before torchvision
from convscope.nets.torch import Model  # noqa: E402
from gradient_support import positive, supports  # noqa: E402

Builder = Callable[[], nn.Module]

FIELDS_CHECKED = 3
LARGE = 150_000_000


@dataclass(frozen=True)
class Row:
    """What came out for one network."""

    name: str
    size: int = 0
    parameters: int = 0
    layers: int = 0
    functions: int = 0
    equal: int = 0
    local: int = 0
    reasons: str = ""
    checked: int = 0
    seconds: float = 0.0
    problem: str = ""


def plain_hooks(network: nn.Module, image: torch.Tensor) -> dict[str, torch.Tensor]:
    """Return what forward hooks see, by the names of modules and which call it is."""
    found: dict[str, torch.Tensor] = {}
    calls: dict[str, int] = {}

    def hook(name: str) -> Any:
        def see(_: nn.Module, __: Any, output: Any) -> None:
            calls[name] = calls.get(name, 0) + 1
            if isinstance(output, torch.Tensor):
                found[name if calls[name] == 1 else f"{name}:{calls[name]}"] = output.clone()

        return see

    handles = [module.register_forward_hook(hook(name)) for name, module in network.named_modules() if name]
    with torch.inference_mode():
        network(image)
    for handle in handles:
        handle.remove()
    return found


def check_fields(model: Model, image: torch.Tensor) -> int:
    """Hold some receptive fields against the gradient; return how many."""
    modules = dict(model.network.named_modules())
    local = [
        layer for layer in model.layers
        if layer.name in modules and len(layer.shape) == 3 and not layer.receptive_field.is_global
    ]  # fmt: skip
    places = sorted({round(share * (len(local) - 1)) for share in np.linspace(0, 1, FIELDS_CHECKED)}) if local else []
    chosen = [local[place] for place in places]
    centres = {layer.name: (layer.shape[1] // 2, layer.shape[2] // 2) for layer in chosen}
    found = supports(model.network, centres, image)
    for layer in chosen:
        expected = layer.receptive_field.box(*centres[layer.name], *model.input_shape[1:])
        if found[layer.name] != expected:
            raise AssertionError(f"field of {layer.name} is {expected}, the gradient lands on {found[layer.name]}")
    return len(chosen)


def look(name: str, network: nn.Module, size: int) -> Row:
    """Look into one network."""
    start = time.perf_counter()
    model = Model(network.eval(), input_shape=(3, size, size), name=name)
    layers = model.layers
    image = torch.rand((1, 3, size, size), generator=torch.Generator().manual_seed(1))
    truth = plain_hooks(network, image)
    asked = [layer.name for layer in layers if layer.name in truth]
    functions = [layer.name for layer in layers if layer.name not in truth]
    values = model.activations(image, asked)
    for layer in asked:
        np.testing.assert_array_equal(values[layer].ravel(), truth[layer].numpy().ravel(), err_msg=layer)
    whole = model.activations(image, asked + functions)  # while functions are watched torch takes no short cuts
    for layer in asked:
        slack = 1e-3 * float(truth[layer].abs().max())
        plain = truth[layer].numpy().ravel()
        np.testing.assert_allclose(whole[layer].ravel(), plain, rtol=0, atol=slack, err_msg=layer)
    positive(network)
    checked = check_fields(model, image) if sum(p.numel() for p in network.parameters()) < LARGE else 0
    reasons = sorted({layer.receptive_field.reason for layer in layers if layer.receptive_field.is_global})
    return Row(
        name, size, sum(p.numel() for p in network.parameters()), len(layers), len(functions), len(asked),
        sum(not layer.receptive_field.is_global for layer in layers), "; ".join(reasons), checked,
        time.perf_counter() - start,
    )  # fmt: skip


def torchvisions() -> Iterator[tuple[str, Builder, int]]:
    """Yield the name, the builder and the image size of every classification network of torchvision."""
    from torchvision import models

    for name in models.list_models(module=models):
        options = {"init_weights": False} if name in ("googlenet", "inception_v3") else {}
        fixed = name.startswith(("vit", "swin", "maxvit", "alexnet", "vgg"))
        size = 299 if name == "inception_v3" else 224 if fixed else 160
        yield f"torchvision:{name}", partial(models.get_model, name, weights=None, **options), size


TRANSFORMERS = (
    "vit", "deit", "beit", "swin", "cait", "eva", "xcit", "pit_", "tnt", "twins", "volo", "mixer", "gmlp",
    "resmlp", "flexivit", "samvit", "hiera", "naflex", "crossvit", "coat", "convit", "davit", "gcvit", "maxvit",
    "maxxvit", "mvit", "nest", "pvt", "sequencer", "visformer", "levit", "mobilevit", "edgenext",
    "efficientformer", "fastvit", "tiny_vit", "nextvit", "repvit", "focal", "poolformer", "caformer",
    "convformer", "halo", "lambda", "bot", "sehalo", "lamhalo", "coatnet", "coatnext", "rmlp", "metaformer",
    "inception_next", "csatv2", "shvit", "swiftformer", "starnet", "fasternet", "vitamin", "mambaout", "rdnet",
    "hgnet_vit", "test_", "aimv2", "mobilenetv4_hybrid", "efficientvit", "gmixer", "convmixer_vit", "eca_halo",
    "eca_botnext", "haloregnet",
)  # fmt: skip
LARGE_NAMES = ("large", "huge", "giant", "_xl", "_l2")


def timms(most: int) -> Iterator[tuple[str, Builder, int]]:
    """Yield the smaller ConvNets of timm: those of at most so many parameters that no transformer is part of."""
    import timm

    found = 0
    for name in timm.list_models():
        if name.startswith(TRANSFORMERS) or any(word in name for word in LARGE_NAMES):
            continue
        with torch.device("meta"):
            try:
                parameters = sum(p.numel() for p in timm.create_model(name, pretrained=False).parameters())
            except (RuntimeError, NotImplementedError, TypeError, ValueError):
                continue
        if parameters <= 30_000_000 and found < most:
            found += 1
            config = timm.get_pretrained_cfg(name)
            fixed = config is not None and (config.fixed_input_size or name.startswith("bat_"))
            size = config.input_size[-1] if fixed else 160
            yield f"timm:{name}", partial(timm.create_model, name, pretrained=False), size


def survey(networks: Iterator[tuple[str, Builder, int]]) -> Iterator[Row]:
    """Look into one network after another."""
    for name, build, size in networks:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                yield look(name, build(), size)
            except Exception as error:  # noqa: BLE001 - that is what the table is for
                yield Row(name, size, problem=f"{type(error).__name__}: {' '.join(str(error).split())[:160]}")
        gc.collect()


INTRODUCTION = """# Networks that were looked into

Made by `make survey` from the classification networks of torchvision {torchvision} and the smaller ConvNets of
timm {timm} (torch {torch}), all with random weights. A row says that layers were found, that the activations of
all modules were bit for bit those that plain hooks see, and that the receptive fields that were checked (of the
first, the middle and the last module whose field is not the whole image) are exactly where gradients land.
"Functions" are the layers that are functions; "local" those that do not see the whole image; then why the
others do. Fields of networks of more than 150 million parameters were not checked.

"""


def markdown(rows: list[Row]) -> str:
    """Return the page with the table."""
    import timm
    import torchvision

    versions = {"torchvision": torchvision.__version__, "timm": timm.__version__, "torch": torch.__version__}
    good = [row for row in rows if not row.problem]
    lines = [
        "| network | input | parameters | layers | functions | local fields | whole image, because | fields checked |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        if row.problem:
            lines.append(f"| {row.name} | {row.size} | | | | | **{row.problem}** | |")
        else:
            size = f"{row.parameters / 1e6:.1f} M"
            cells = (row.name, row.size, size, row.layers, row.functions, row.local, row.reasons, row.checked)
            lines.append(f"| {' | '.join(map(str, cells))} |")
    head = INTRODUCTION.format(**versions)
    return f"{head}{len(good)} of {len(rows)} networks.\n\n" + "\n".join(lines) + "\n"


def main() -> None:
    """Survey, print, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="", help="look only into networks whose name has this in it")
    parser.add_argument("--timm", type=int, default=400, help="at most so many of timm")
    parser.add_argument("-o", type=Path, help="where the table goes")
    options = parser.parse_args()
    torch.set_num_threads(2)
    rows = []
    for networks in (torchvisions(), timms(options.timm)):
        for row in survey(item for item in networks if options.only in item[0]):
            rows.append(row)
            good = f"{row.layers} layers, {row.local} local, {row.checked} checked, {row.seconds:.1f} s"
            print(f"{row.name:45} {row.problem or good}", flush=True)
    if options.o:
        options.o.write_text(markdown(rows))
    print(f"{sum(not row.problem for row in rows)} of {len(rows)}")


if __name__ == "__main__":
    main()
