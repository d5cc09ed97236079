"""Pictures: layouts, grids, types of numbers, boxes and figures, against TensorBoard, torch and tensorboardX."""

from __future__ import annotations

import io
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from convscope.arrays import arrange, grid, packed, stack
from convscope.errors import InputError
from convscope.recording import SummaryWriter
from convscope.recording.drawing import boxes_of, draw_boxes
from convscope.store import Run
from tensorboard_oracle import accumulate, event_class

RNG = np.random.default_rng(0)
SIZES = {"N": 5, "C": 3, "H": 6, "W": 7}


def pixels(data: bytes) -> np.ndarray:
    with Image.open(io.BytesIO(data)) as picture:
        picture.load()
        return np.asarray(picture)


def logged(path: Path, method: str, *args: Any, **options: Any) -> np.ndarray:
    """Return the pixels that a method of the writer logs, ``(H, W)`` or ``(H, W, C)``."""
    with SummaryWriter(path) as writer:
        getattr(writer, method)("t", *args, **options)
    (picture,) = Run(path).images("t")
    found = pixels(picture.png)
    assert found.shape[:2] == (picture.height, picture.width)
    return found


def of_peer(package: str, method: str, *args: Any, **options: Any) -> np.ndarray:
    """Return the pixels that torch or tensorboardX makes of the same input."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=DeprecationWarning)
        if package == "torch":
            from torch.utils.tensorboard import summary
        else:
            from tensorboardX import summary
    return pixels(getattr(summary, method)("t", *args, **options).value[0].image.encoded_image_string)


def coloured(array: np.ndarray) -> np.ndarray:
    return np.repeat(array[..., None], 3, axis=2) if array.ndim == 2 else array


def test_tensorboard_reads_pictures(tmp_path: Path) -> None:
    with SummaryWriter(tmp_path) as writer:
        writer.add_image("one", RNG.random((3, 8, 9)), 3, 11.5)
        writer.add_image("grey", RNG.random((8, 9)), 4, dataformats="HW")
        writer.add_image("clear", RNG.random((4, 8, 9)), 5)
        writer.add_images("many", RNG.random((3, 1, 8, 9)), 6, 12.5, "NCHW")
        writer.add_image_with_boxes("boxes", RNG.random((3, 20, 30)), [[1, 2, 3, 4]], 7, 13.5, 2, "CHW", ["a"])
    board = accumulate(tmp_path)
    found = {tag: board.Images(tag)[0] for tag in board.Tags()["images"]}
    stood = {tag: (image.step, image.height, image.width) for tag, image in found.items()}
    assert stood == {
        "one": (3, 8, 9),
        "grey": (4, 8, 9),
        "clear": (5, 8, 9),
        "many": (6, 8, 31),
        "boxes": (7, 40, 60),
    }
    assert (found["one"].wall_time, found["many"].wall_time, found["boxes"].wall_time) == (11.5, 12.5, 13.5)
    for picture in Run(tmp_path).images("one"):
        assert picture.png == found["one"].encoded_image_string
    spaces = {value.tag: value.image.colorspace for value in protobuf_values(tmp_path)}
    assert spaces == {"one": 3, "grey": 1, "clear": 4, "many": 1, "boxes": 3}


def protobuf_values(path: Path) -> list[Any]:
    from convscope.formats.record import HEADER, read_frames

    (file,) = (item for item in path.iterdir() if "tfevents" in item.name)
    data = np.frombuffer(file.read_bytes(), np.uint8)
    frames = read_frames(data)
    starts = zip(frames.offset.tolist(), frames.length.tolist(), strict=True)
    messages = [event_class().FromString(data[s + HEADER : s + HEADER + n].tobytes()) for s, n in starts]
    return [value for message in messages for value in message.summary.value]


@pytest.mark.parametrize("layout", ["HW", "WH", "CHW", "HWC", "WCH", "chw"])
def test_one_picture_in_any_layout_is_as_in_torch(tmp_path: Path, layout: str) -> None:
    picture = RNG.integers(0, 256, [SIZES[axis] for axis in layout.upper()], np.uint8)
    found = logged(tmp_path, "add_image", picture, dataformats=layout)
    assert np.array_equal(coloured(found), of_peer("torch", "image", picture, dataformats=layout))


@pytest.mark.parametrize("layout", ["NCHW", "NHWC", "HWCN"])
@pytest.mark.parametrize("count", [1, 5, 8, 20])
def test_a_grid_without_padding_is_that_of_torch(tmp_path: Path, layout: str, count: int) -> None:
    pictures = RNG.integers(0, 256, [{**SIZES, "N": count}[axis] for axis in layout], np.uint8)
    found = logged(tmp_path, "add_images", pictures, dataformats=layout, padding=0)
    assert np.array_equal(found, of_peer("torch", "image", pictures, dataformats=layout))


def test_a_grid_of_transparent_pictures_is_that_of_tensorboardx(tmp_path: Path) -> None:
    pictures = RNG.integers(0, 256, (9, 4, 5, 6), np.uint8)
    found = logged(tmp_path, "add_images", pictures, padding=0)
    assert np.array_equal(found, of_peer("tensorboardX", "image", pictures, dataformats="NCHW"))


@pytest.mark.parametrize("method", ["add_image", "add_images"])
def test_pictures_stand_two_pixels_apart(tmp_path: Path, method: str) -> None:
    pictures = RNG.integers(1, 256, (11, 5, 4), np.uint8)
    found = logged(tmp_path, method, pictures, dataformats="NHW")
    assert found.shape == (2 * 5 + 2, 8 * 4 + 7 * 2)
    for number, picture in enumerate(pictures):
        row, column = divmod(number, 8)
        assert np.array_equal(found[row * 7 : row * 7 + 5, column * 6 : column * 6 + 4], picture)
    assert np.count_nonzero(found) == pictures.size


@given(st.integers(1, 12), st.integers(1, 4), st.integers(1, 5), st.integers(1, 9), st.integers(0, 3))
def test_every_picture_is_at_its_place_in_a_grid(count: int, height: int, width: int, columns: int, gap: int) -> None:
    pictures = np.arange(1, count * height * width * 3 + 1).reshape(count, height, width, 3)
    sheet = grid(pictures, columns, gap)
    for number, picture in enumerate(pictures):
        row, column = divmod(number, min(columns, count))
        top, left = row * (height + gap), column * (width + gap)
        assert np.array_equal(sheet[top : top + height, left : left + width], picture)
    assert sheet.sum() == pictures.sum()


def test_packing_and_arranging_move_no_number() -> None:
    array = RNG.random((2, 3, 4, 5))
    assert np.array_equal(packed(arrange(array, "NCHW")), array.transpose(0, 2, 3, 1))
    assert packed(arrange(array, "NCHW")).flags.c_contiguous
    assert np.shares_memory(arrange(array, "NCHW"), array)
    assert arrange(array[0, 0], "HW", "NTHWC").shape == (1, 1, 4, 5, 1)


def test_a_list_may_hold_pictures_of_several_sizes_and_frameworks(tmp_path: Path) -> None:
    grey = torch.full((1, 2, 3), 0.5, requires_grad=True)
    coloured_one = np.full((3, 4, 2), 200, np.uint8)
    found = logged(tmp_path, "add_images", [grey, coloured_one], padding=1)
    assert found.shape == (4, 7, 3)
    assert (found[:2, :3] == 128).all()
    assert (found[:, 4:6] == 200).all()
    assert found.sum() == 6 * 3 * 128 + 8 * 3 * 200
    clear = stack([np.zeros((1, 1, 1), np.uint8), np.full((1, 1, 4), 9, np.uint8), np.full((1, 1, 3), 5, np.uint8)])
    assert clear[:, 0, 0].tolist() == [[0, 0, 0, 255], [9, 9, 9, 9], [5, 5, 5, 255]]


@pytest.mark.parametrize("layout", ["CHW", "HWC"])
def test_a_list_in_tensorboardx_style(tmp_path: Path, layout: str) -> None:
    pictures = [RNG.integers(0, 256, [SIZES[axis] for axis in layout], np.uint8) for _ in range(3)]
    found = logged(tmp_path, "add_images", pictures, dataformats=layout)
    batch = logged(tmp_path / "batch", "add_images", np.stack(pictures), dataformats="N" + layout)
    assert np.array_equal(found, batch)


@pytest.mark.parametrize(
    ("picture", "expected", "clipped"),
    [
        (np.array([[0.0, 0.5, 1.0, 1.5, -0.1, np.nan]]), [0, 128, 255, 255, 0, 0], 3),
        (np.array([[0.0, np.inf, -np.inf]], np.float16), [0, 255, 0], 2),
        (torch.tensor([[0.25, 1.0078125]], dtype=torch.bfloat16), [64, 255], 1),
        (torch.tensor([[0.2, 0.4]], requires_grad=True), [51, 102], 0),
        (np.array([[True, False]]), [255, 0], 0),
        (np.array([[0, 1, 1]]), [0, 255, 255], 0),
        (np.array([[0, 1, 2]]), [0, 1, 2], 0),
        (np.array([[-5, 7, 300]], np.int16), [0, 7, 255], 2),
        (np.array([[0, 1, 1]], np.uint8), [0, 1, 1], 0),
        (np.array([[-128, 5, 127]], np.int8), [0, 5, 127], 1),
        (np.array([[3, 1 << 63]], np.uint64), [3, 255], 1),
        ([[0, 100, 255]], [0, 100, 255], 0),
    ],
)
def test_numbers_become_pixels_and_what_is_clipped_is_counted(
    tmp_path: Path, picture: Any, expected: list[int], clipped: int
) -> None:
    assert logged(tmp_path, "add_image", picture, dataformats="HW").tolist() == [expected]
    assert Run(tmp_path).images("t")[0].clipped == clipped
    assert len(accumulate(tmp_path).Images("t")) == 1


def test_floats_differ_from_torch_by_rounding_alone(tmp_path: Path) -> None:
    picture = RNG.random((3, 40, 50)).astype(np.float32)
    found = logged(tmp_path, "add_image", picture).astype(int) - of_peer("torch", "image", picture, dataformats="CHW")
    assert set(np.unique(found)) == {0, 1}  # torch cuts the fraction off
    exact = (np.arange(256) / 255).astype(np.float32).reshape(1, 16, 16)
    assert np.array_equal(logged(tmp_path / "exact", "add_image", exact).ravel(), np.arange(256))


WRONG = [
    ((64, 5, 6), "CHW", r"1, 3 or 4 channels, got 64 in the shape \(64, 5, 6\) as CHW; the layout 'NHW' shows each"),
    ((2, 64, 5, 6), "NCHW", "'NHW' shows each channel of one of them"),
    ((2, 5, 6), "CHW", "got 2 in"),
    ((20, 30, 3), "CHW", "the layout 'HWC' would fit"),
    ((3, 20, 30), "HWC", "the layout 'CHW' would fit"),
    ((2, 3, 5, 6), "CHW", r"'CHW' does not fit an array of shape \(2, 3, 5, 6\); 'NCHW' would"),
    ((5, 6), "CHW", "'HW' would"),
    ((5,), "HW", "2 to 4 axes are possible"),
    ((3, 0, 6), "CHW", r"at least one pixel, got the shape \(3, 0, 6\)"),
    ((0, 3, 5, 6), "NCHW", "at least one pixel"),
    ((3, 5), "CH", "unknown layout 'CH'; name the axes with H, W and as needed N and C"),
    ((3, 5, 6), "HHW", "unknown layout 'HHW'"),
    ((3, 5, 6), None, "unknown layout None"),
]


@pytest.mark.parametrize(("shape", "layout", "message"), WRONG)
def test_shapes_that_are_no_picture(tmp_path: Path, shape: tuple[int, ...], layout: Any, message: str) -> None:
    with SummaryWriter(tmp_path) as writer:
        for method in (writer.add_image, writer.add_images):
            with pytest.raises(InputError, match=message):
                method("t", np.zeros(shape), dataformats=layout)
    assert Run(tmp_path).tags() == {}


def test_what_is_no_picture_at_all(tmp_path: Path) -> None:
    good = np.zeros((1, 3, 4, 4))
    with SummaryWriter(tmp_path) as writer:
        for bad, message in (
            (np.array([[object()]]), "expected an array of numbers"),
            ("path/to/picture.png", "expected an array of numbers, got 'path/to/picture.png'"),
            (np.zeros((4, 4), complex), "got dtype complex128"),
            (None, "expected an array of numbers"),
        ):
            with pytest.raises(InputError, match=message):
                writer.add_image("t", bad, dataformats="HW")
        with pytest.raises(InputError, match="at least one, got an empty list"):
            writer.add_images("t", [])
        with pytest.raises(InputError, match="columns is a whole number, 1 or more, got 0"):
            writer.add_images("t", good, columns=0)
        with pytest.raises(InputError, match=r"padding is a whole number, 0 or more, got 1\.5"):
            writer.add_images("t", good, padding=1.5)
    assert Run(tmp_path).tags() == {}


def test_boxes_are_drawn_where_they_are() -> None:
    picture = np.full((40, 50, 3), 90, np.uint8)
    drawn = draw_boxes(picture, boxes_of([[10, 8, 30, 25]]), [""])
    changed = (drawn != picture).any(axis=2)
    outline = np.zeros_like(changed)
    outline[8:26, 10:31] = True
    outline[10:24, 12:29] = False
    assert np.array_equal(changed, outline)
    assert len(np.unique(drawn[changed], axis=0)) == 1
    assert (picture == 90).all()


def test_a_picture_is_enlarged_before_boxes_are_drawn(tmp_path: Path) -> None:
    found = logged(tmp_path, "add_image_with_boxes", np.zeros((1, 20, 30)), [10.0, 5, 25, 15], rescale=3)
    assert found.shape == (60, 90, 3)
    rows, columns = np.nonzero(found.any(axis=2))
    assert (rows.min(), columns.min(), rows.max(), columns.max()) == (15, 30, 45, 75)


def test_labels_may_be_any_text_and_equal_ones_have_equal_colours() -> None:
    picture = np.zeros((60, 200, 3), np.uint8)
    boxes = boxes_of([[5, 30, 40, 50], [60, 30, 90, 50], [120, 30, 150, 50]])
    drawn = draw_boxes(picture, boxes, ["cat", "dog", "cat"])
    corners = drawn[50, [5, 60, 120]].tolist()
    assert corners[0] == corners[2] != corners[1]
    above = drawn[:30].any(axis=2)
    assert all(above[:, start : start + 15].any() for start in (5, 60, 120))  # a label stands on each box
    assert not above[:, 90:120].any()


def test_odd_boxes_and_labels_are_drawn(tmp_path: Path) -> None:
    picture = RNG.integers(0, 256, (4, 30, 40), np.uint8)
    unchanged = logged(tmp_path / "none", "add_image_with_boxes", picture, np.zeros((0, 4)))
    assert np.array_equal(unchanged, picture.transpose(1, 2, 0))
    labels = ["ü 猫", "two\nlines", "\ud800", None, 7]
    boxes = torch.tensor([[30.0, 20, 5, 5], [-1e20, 3, 1e20, 9], [100, 100, 200, 200], [0, 0, 39, 29], [3, 3, 3, 3]])
    assert logged(tmp_path / "odd", "add_image_with_boxes", picture, boxes, labels=labels).shape == (30, 40, 4)
    logged(tmp_path / "one", "add_image_with_boxes", picture, [[1, 2, 3, 4]], labels="a word")
    turned = boxes_of([[30.0, 20, 5, 8]])
    assert turned.tolist() == [[5, 8, 30, 20]]


@pytest.mark.parametrize(
    ("boxes", "options", "message"),
    [
        ([[1, 2, 3]], {}, r"boxes are numbers of shape \(N, 4\): x0, y0, x1, y1; got \(1, 3\)"),
        ([["a", "b", "c", "d"]], {}, "expected an array of numbers"),
        ([[0, 1, 2, 3], [1, 2, float("nan"), 4]], {}, r"four finite numbers, got \[1.0, 2.0, nan, 4.0\] as number 1"),
        ([[1, 2, 3, 4]], {"labels": ["a", "b"]}, "one label, got 2 labels for 1 boxes"),
        ([[1, 2, 3, 4]], {"rescale": 0}, "rescale is a number above 0, got 0"),
        ([[1, 2, 3, 4]], {"rescale": float("nan")}, "rescale is a number above 0, got nan"),
        ([[1, 2, 3, 4]], {"rescale": 1e5}, "makes a picture of 600000 × 500000 pixels"),
        ([[1, 2, 3, 4]], {"dataformats": "NCHW"}, "unknown layout 'NCHW'"),
        ([[1, 2, 3, 4]], {"dataformats": "HWC"}, "the layout 'CHW' would fit"),
    ],
)
def test_boxes_that_make_no_sense(tmp_path: Path, boxes: Any, options: dict[str, Any], message: str) -> None:
    with SummaryWriter(tmp_path) as writer, pytest.raises(InputError, match=message):
        writer.add_image_with_boxes("t", np.zeros((3, 5, 6)), boxes, **options)
    assert Run(tmp_path).tags() == {}


@pytest.fixture
def pyplot() -> Any:
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    yield plt
    plt.close("all")


def plot(plt: Any, size: tuple[float, float] = (2.0, 1.5)) -> Any:
    figure, axes = plt.subplots(figsize=size)
    axes.plot([1, 3, 2])
    return figure


def test_a_figure_has_the_pixels_that_torch_gives_it(tmp_path: Path, pyplot: Any) -> None:
    figure = plot(pyplot)
    canvas = figure.canvas
    found = logged(tmp_path, "add_figure", figure, 3, close=False, walltime=5.0)
    assert figure.canvas is canvas
    assert pyplot.fignum_exists(figure.number)
    (event,) = accumulate(tmp_path).Images("t")
    assert (event.step, event.wall_time) == (3, 5.0)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=DeprecationWarning)
        from torch.utils.tensorboard._utils import figure_to_image
    assert np.array_equal(found, figure_to_image(figure, close=False).transpose(1, 2, 0))


def test_figures_are_closed_and_several_become_a_grid(tmp_path: Path, pyplot: Any) -> None:
    figures = [plot(pyplot), plot(pyplot, (1.0, 2.0)), plot(pyplot)]
    single = logged(tmp_path / "one", "add_figure", plot(pyplot))
    found = logged(tmp_path / "many", "add_figure", figures)
    assert found.shape == (200, 3 * 200 + 4, 3)
    assert np.array_equal(found[:150, :200], single)
    assert np.array_equal(found[:150, 404:], single)
    assert pyplot.get_fignums() == []


def test_a_figure_that_pyplot_does_not_know_and_is_transparent(tmp_path: Path) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(1, 1), facecolor="none")
    found = logged(tmp_path, "add_figure", figure)
    assert found.shape == (100, 100, 4)
    assert found[0, 0, 3] == 0


def test_what_is_no_figure(tmp_path: Path, pyplot: Any) -> None:
    figure = plot(pyplot)
    with SummaryWriter(tmp_path) as writer:
        for bad, message in (
            (3, "a figure is a matplotlib.figure.Figure or a list of them, got int$"),
            (figure.axes[0], r"got Axes; log its \.figure"),
            ([figure, None], "got NoneType"),
            ([], "at least one, got an empty list"),
        ):
            with pytest.raises(InputError, match=message):
                writer.add_figure("t", bad)
    assert pyplot.get_fignums() == [figure.number]
    assert Run(tmp_path).tags() == {}


def test_matplotlib_and_pillow_are_not_imported_to_log_an_array(tmp_path: Path) -> None:
    code = (
        "import sys, numpy as np; from convscope import SummaryWriter\n"
        f"w = SummaryWriter({str(tmp_path)!r}); w.add_images('a', np.zeros((4, 3, 5, 5)))\n"
        "w.add_audio('b', np.zeros(9)); w.add_video('c', np.zeros((1, 2, 3, 5, 5)))\n"
        "try: w.add_figure('d', 3)\n"
        "except ValueError: pass\n"
        "w.close(); print(*{'matplotlib', 'PIL'} & {name.partition('.')[0] for name in sys.modules})"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "\n"
