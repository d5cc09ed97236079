"""What a network looks like from outside its framework: its layers, and what any implementation of a model can do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from convscope.inspect.receptive_field import ReceptiveField


@dataclass(frozen=True)
class Layer:
    """One step of a network, as it was executed: a module, or a function that a module called.

    Attributes
    ----------
    name
        The module's name; a module that runs again is called ``name:2``, ``name:3``. A function is called after itself,
        behind the module that called it: ``layer1.0.add``, ``flatten``.
    kind
        What it is: ``Conv2d``, ``ReLU``, ``MaxPool2d``, ``Linear``, ``Add`` …
    shape
        Shape of its output for one image, ``(C, H, W)`` or ``(C,)``.
    parameters
        How many numbers it has learned.
    receptive_field
        Which pixels of the input its positions see.
    macs
        Multiply-adds for one image; 0 where nothing is multiplied by weights.
    inputs
        Names of the layers whose outputs it takes; the image is ``""``.
    nonlinearity
        Name of the layer that is the non-linearity of this one: it alone stands between the tap before and the tap
        after. Empty where none directly takes its output.
    options
        What JSON can hold of how it works: ``kernel``, ``stride``, ``padding``, ``dilation`` as [vertical, horizontal],
        ``groups``.
    """

    name: str
    kind: str
    shape: tuple[int, ...]
    parameters: int
    receptive_field: ReceptiveField
    macs: int = 0
    inputs: tuple[str, ...] = ()
    nonlinearity: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def maps(self) -> tuple[int, int, int]:
        """The output as channels, rows and columns; a vector is channels of 1×1."""
        channels, rows, columns = (*self.shape, 1, 1)[:3] if self.shape else (1, 1, 1)
        return channels, rows, columns


class Model(Protocol):
    """What the rest of convscope asks of a network, whatever its framework."""

    name: str
    input_shape: tuple[int, int, int]

    @property
    def layers(self) -> tuple[Layer, ...]:
        """The layers in the order in which they are executed."""
        ...

    def layer(self, name: str) -> Layer:
        """Return one layer; :class:`~convscope.errors.NotFoundError` names the nearest where there is none."""
        ...

    def filters(self, layer: str) -> npt.NDArray[np.float32]:
        """Return the weights of a convolution as ``(O, I, kh, kw)``."""
        ...

    def activations(self, images: Any, layer: str | Sequence[str]) -> Any:
        """Return the output of a layer for images ``(N, C, H, W)``, or a dictionary of several."""
        ...

    def logits(self, images: Any) -> npt.NDArray[np.float32]:
        """Return what the network says to images ``(N, C, H, W)``."""
        ...


def layer_table(layers: Sequence[Layer]) -> list[Mapping[str, Any]]:
    """Return the layers as rows for a table or JSON: name, kind, shape, receptive field, parameters, multiply-adds."""
    return [
        {
            "name": layer.name,
            "kind": layer.kind,
            "shape": list(layer.shape),
            "receptive_field": layer.receptive_field.to_json(),
            "parameters": layer.parameters,
            "macs": layer.macs,
            "inputs": list(layer.inputs),
            "nonlinearity": layer.nonlinearity,
            "options": dict(layer.options),
        }
        for layer in layers
    ]
