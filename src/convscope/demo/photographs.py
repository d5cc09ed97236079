"""A few real photographs for AlexNet, of free licences: from scikit-image's package and from scikit-learn.

astronaut (NASA), hubble (NASA, ESA), rocket (SpaceX), cat, coffee and motorcycle (Middlebury) are in the public domain
or CC0, as scikit-image states; temple (china.jpg) and flower are CC BY 2.0, by Liang Gao and dany13, as scikit-learn
states.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

import numpy as np
import numpy.typing as npt
from PIL import Image

from convscope.errors import DownloadError
from convscope.nets.data import ArrayImages, Preprocessing
from convscope.nets.download import Asset, Client, Package, Progress, fetch

_NAMES: Final = {
    "astronaut": "astronaut.png",
    "cat": "chelsea.png",
    "coffee": "coffee.png",
    "motorcycle": "motorcycle_left.png",
    "rocket": "rocket.jpg",
    "hubble": "hubble_deep_field.jpg",
}
_SHA256: Final = {
    "astronaut.png": "88431cd9653ccd539741b555fb0a46b61558b301d4110412b5bc28b5e3ea6cb5",
    "chelsea.png": "596aa1e7cb875eb79f437e310381d26b338a81c2da23439704a73c4651e8c4bb",
    "coffee.png": "cc02f8ca188b167c775a7101b5d767d1e71792cf762c33d6fa15a4599b5a8de7",
    "motorcycle_left.png": "db18e9c4157617403c3537a6ba355dfeafe9a7eabb6b9b94cb33f6525dd49179",
    "rocket.jpg": "c2dd0de7c538df8d111e479619b129464d0269d0ae5fd18ca91d33a7fdfea95c",
    "hubble_deep_field.jpg": "3a19c5dd8a927a9334bb1229a6d63711b1c0c767fb27e2286e7c84a3e2c2f5f4",
}
PHOTOGRAPHS: Final = Asset(
    "photographs",
    _SHA256,
    (
        Package(
            "scikit-image",
            "scikit_image-0.26.0-cp311-cp311-manylinux_2_24_x86_64.manylinux_2_28_x86_64.whl",
            {name: f"skimage/data/{name}" for name in _SHA256},
        ),
    ),
)
Pixels = npt.NDArray[np.uint8]


def load_photographs(
    preprocessing: Preprocessing, *, progress: Progress | None = None, client: Client | None = None
) -> ArrayImages:
    """Return the photographs as a network sees them, each whole and its four quarters, labelled by photograph.

    Eight photographs; scikit-learn's two where the package cannot be had, and the set's name says so.
    """
    pictures = _from_sklearn()
    try:
        folder = fetch(PHOTOGRAPHS, progress, client)
    except DownloadError:
        return _whole_and_quarters(pictures, preprocessing, "scikit-learn's two photographs")
    found = {name: np.asarray(Image.open(folder / file).convert("RGB")) for name, file in _NAMES.items()}
    pictures = {**found, **pictures}
    return _whole_and_quarters(pictures, preprocessing, "photographs")


def _whole_and_quarters(pictures: Mapping[str, Pixels], preprocessing: Preprocessing, name: str) -> ArrayImages:
    views = [[picture, *quarters(picture)] for picture in pictures.values()]
    fitted = np.stack([preprocessing.fit(view) for of_one in views for view in of_one])
    labels = np.repeat(np.arange(len(pictures)), [len(of_one) for of_one in views])
    as_they_are = replace(preprocessing, size=None, crop=None)
    return ArrayImages(fitted, labels, label_names=tuple(pictures), preprocessing=as_they_are, name=name)


def quarters(picture: Pixels) -> list[Pixels]:
    """Return the four quarters of a picture ``(H, W, 3)``."""
    y, x = picture.shape[0] // 2, picture.shape[1] // 2
    return [picture[:y, :x], picture[:y, x:], picture[y:, :x], picture[y:, x:]]


def _from_sklearn() -> dict[str, Pixels]:
    from sklearn.datasets import load_sample_images

    china, flower = load_sample_images().images
    return {"temple": np.asarray(china, np.uint8), "flower": np.asarray(flower, np.uint8)}
