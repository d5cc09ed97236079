"""Projections from crops are those from whole images, at every position and for every kind of network."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from convscope.inspect.receptive_field import ReceptiveField
from convscope.nets import crops
from convscope.nets.crops import window
from convscope.nets.data import ArrayImages
from convscope.nets.torch import Model

SIZE = 48


class Residual(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 6, 3, stride=2, padding=1)
        self.norm = nn.BatchNorm2d(6)
        self.one = nn.Conv2d(6, 6, 3, padding=2, dilation=2, groups=2)
        self.last = nn.Conv2d(12, 8, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.relu(self.norm(self.stem(x)))
        x = torch.relu(x + self.one(x))
        return torch.relu(self.last(torch.cat([x, -x], 1)))


NETS = {
    "overlapping pools": lambda: nn.Sequential(
        nn.Conv2d(3, 6, 5, stride=2, padding=2),
        nn.ReLU(),
        nn.MaxPool2d(3, 2, padding=1),
        nn.Conv2d(6, 8, 3, padding=1),
        nn.ReLU(),
    ),
    "average and ceil": lambda: nn.Sequential(
        nn.Conv2d(3, 6, 3),
        nn.ReLU(inplace=True),
        nn.AvgPool2d(2, ceil_mode=True),
        nn.Conv2d(6, 8, 3, padding=1),
        nn.ReLU(),
    ),
    "lrn": lambda: nn.Sequential(
        nn.Conv2d(3, 6, 3, stride=2),
        nn.ReLU(),
        nn.LocalResponseNorm(3),
        nn.Conv2d(6, 8, 3, stride=2, padding=1),
        nn.ReLU(),
    ),
    "residual": Residual,
}


def looked_at(name: str) -> tuple[Model, ArrayImages, str]:
    torch.manual_seed(0)
    model = Model(NETS[name]().double().eval(), input_shape=(3, SIZE, SIZE))
    pixels = np.random.default_rng(0).integers(0, 255, (6, SIZE, SIZE, 3), np.uint8)
    last = [layer.name for layer in model.layers if layer.kind == "Conv2d"][-1]
    return model, ArrayImages(pixels), last


@pytest.mark.parametrize("rule", ["deconvnet", "guided_backprop", "gradient", "gradient_x_input"])
@pytest.mark.parametrize("name", NETS)
def test_crops_and_whole_images_agree_at_every_border(name: str, rule: str, monkeypatch: pytest.MonkeyPatch) -> None:
    model, images, layer = looked_at(name)
    maps = model.activations(images.images(0, 6), layer)
    rows, columns = maps.shape[2:]
    places = [
        (0, 0),
        (0, columns - 1),
        (rows - 1, 0),
        (rows - 1, columns - 1),
        (rows // 2, columns // 2),
        (1, columns - 2),
    ]
    found = model.top_k(images, layers=[layer], k=len(places))[layer]
    position = np.broadcast_to(np.array(places, np.int32), (found.channels, len(places), 2)).copy()
    image = np.broadcast_to(np.arange(len(places)), position.shape[:2]).copy()
    value = np.maximum(np.stack([maps[i, :, y, x] for i, (y, x) in enumerate(places)], axis=1), 0)
    top = replace(found, position=position, image=image, value=value.astype(np.float32))
    assert window(top.receptive_field, top.input_size) is not None, "this net would not be cropped: it tests nothing"

    by_crop = model.attribute(top, images, rule=rule)
    monkeypatch.setattr(crops, "WORTHWHILE", 0.0)
    by_image = model.attribute(top, images, rule=rule)
    assert by_crop.mismatches == by_image.mismatches == 0
    assert np.abs(by_image.values).max() > 0
    np.testing.assert_allclose(by_crop.values, by_image.values, rtol=1e-6, atol=1e-12)
    assert by_crop.report == by_image.report


def test_the_whole_image_is_taken_where_crops_would_not_be_exact_or_not_save() -> None:
    field = ReceptiveField((11, 11), (4, 4), (-2, -2))
    assert window(field, (224, 224)) is not None
    assert window(field, (227, 224)) is None, "the far border is not on the grid"
    assert window(ReceptiveField((200, 200), (4, 4)), (224, 224)) is None, "crops would be nearly the image"
    assert window(ReceptiveField.whole((224, 224), "global pooling"), (224, 224)) is None


def test_every_crop_holds_its_field_and_lies_on_the_grid() -> None:
    field = ReceptiveField((13, 9), (4, 2), (-6, -3))
    crop = window(field, (64, 64))
    assert crop is not None
    for y in range(16):
        for x in range(32):
            box = field.boxes(np.array([y, x]))
            top, left = crop.corner(box)
            assert top % 4 == left % 2 == 0
            assert top <= max(0, box[0])
            assert left <= max(0, box[1])
            assert min(64, box[2]) <= top + crop.size[0] <= 64
            assert min(64, box[3]) <= left + crop.size[1] <= 64
            assert crop.position(y, x, (top, left)) == (y - top // 4, x - left // 2)


def test_what_does_not_come_out_right_from_crops_is_done_with_whole_images() -> None:
    class Placed(nn.Module):
        """A network that knows where it is: crops cannot serve it."""

        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(3, 4, 3, padding=1)

        def forward(self, x: Tensor) -> Tensor:
            return torch.relu(self.conv(x + torch.linspace(0, 5, x.shape[-1], dtype=x.dtype)))

    torch.manual_seed(0)
    model = Model(Placed(), input_shape=(3, SIZE, SIZE))
    images = ArrayImages(np.random.default_rng(0).integers(0, 255, (6, SIZE, SIZE, 3), np.uint8))
    top = model.top_k(images, k=3)["conv"]
    done: list[tuple[int, int]] = []
    projections = model.attribute(top, images, progress=lambda a, b: done.append((a, b)))
    assert projections.mismatches == 0
    assert done[-1][0] == done[-1][1]
    np.testing.assert_allclose(projections.recomputed, top.value, rtol=1e-4)
