"""The architecture of a network: its layers, what they cost, and how they are connected (METHODS §4)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from convscope.inspect.layers import Layer, layer_table
from convscope.rich import Rich
from convscope.summary import Summary


@dataclass(frozen=True)
class Architecture(Rich):
    """The layers of a network, in the order in which they are executed.

    Attributes
    ----------
    network
        What the network is called.
    input_shape
        Channels, height and width of an image.
    layers
        The layers; ``Layer.inputs`` says how they are connected.
    parameters
        How many numbers the whole network has learned.
    """

    network: str
    input_shape: tuple[int, int, int]
    layers: tuple[Layer, ...]
    parameters: int

    @property
    def macs(self) -> int:
        """The multiply-adds for one image."""
        return sum(layer.macs for layer in self.layers)

    def to_summary(self, tag: str | None = None, step: int = 0) -> Summary:
        """Return the architecture as a summary of kind ``architecture``; the tag is the network's name unless given."""
        arrays = {
            "parameters": np.array([layer.parameters for layer in self.layers], np.int64),
            "macs": np.array([layer.macs for layer in self.layers], np.int64),
        }
        meta = {
            "network": self.network,
            "input_shape": list(self.input_shape),
            "layers": layer_table(self.layers),
            "parameters": self.parameters,
            "macs": self.macs,
        }
        return Summary("architecture", tag or self.network, step, arrays=arrays, meta=meta)
