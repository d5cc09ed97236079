"""The handwritten digits the demo learns from: MNIST, or scikit-learn's small ones where MNIST cannot be had."""

from __future__ import annotations

from dataclasses import dataclass

from convscope.errors import DownloadError
from convscope.nets.data import ArrayImages
from convscope.nets.download import Client, Progress
from convscope.nets.mnist import load_digits_8x8, load_mnist


@dataclass(frozen=True)
class Digits:
    """Pictures to train on and pictures to look at.

    Attributes
    ----------
    name
        ``MNIST`` or ``digits 8×8``.
    train, test
        What the network learns from, and what it is shown afterwards.
    note
        Why these digits and not others; empty for MNIST.
    """

    name: str
    train: ArrayImages
    test: ArrayImages
    note: str = ""

    @property
    def size(self) -> int:
        """Height and width of a picture in pixels."""
        return int(self.train.pixels.shape[1])


def load_digits(progress: Progress | None = None, client: Client | None = None) -> Digits:
    """Load MNIST, from the cache or its sources; where none answers, the digits that come with scikit-learn."""
    try:
        train, test = load_mnist(progress, client)
    except DownloadError as error:
        train, test = load_digits_8x8()
        note = f"using scikit-learn's {len(train) + len(test):,} digits of 8×8 pixels instead of MNIST: {error}"
        return Digits("digits 8×8", train, test, note)
    return Digits("MNIST", train, test)
