"""Drawings as PNG, SVG and PDF: they agree, text stays text, and the same drawing gives the same bytes."""

from __future__ import annotations

import io
import re
import zlib
from pathlib import Path
from xml.etree import ElementTree as ET

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser

from convscope.drawing import pdf, png, svg
from convscope.drawing.composed import sheet
from convscope.drawing.curves import Chart, Trace, charts, passes_of, smooth, thinned
from convscope.drawing.files import WRITERS, check_target, save
from convscope.drawing.font import DEFAULT, Font
from convscope.drawing.march import Camera, Matter, marched, opacity_ramp
from convscope.drawing.scales import colours_of, levels, nice_ticks, number
from convscope.drawing.shapes import Area, Clip, Dots, Line, Picture, Sheet, Words, box, printed, segment
from convscope.drawing.style import Look, length_of, look_of
from convscope.drawing.truetype import character_map, tables_of
from convscope.errors import FormatError, InputError, NotFoundError, StorageError

INK = (20, 20, 20)
HOSTILE = "</script><img src=x onerror=alert(1)> 鷗 \x00\x1b é ∞ \ud800"


def everything(text: str = "Loss × −0.25") -> Sheet:
    """A sheet with one of every shape."""
    random = np.random.default_rng(0)
    x = np.linspace(15, 160, 80)
    return Sheet(
        180,
        120,
        [
            Words(10, 15, text, 9, INK),
            Words(8, 100, "upright", 7, (0, 0, 200), 0.5, upright=True),
            Words(170, 15, "end", 8, INK, 1),
            Line(np.column_stack([x, 60 + 20 * np.sin(x / 9)]), (0, 114, 178), 1.2),
            Line(segment(15, 90, 160, 90), (100, 100, 100), 0.5, (4, 2)),
            Area(box(20, 95, 30, 15), (0, 148, 114), 0.5),
            Dots(random.uniform([60, 95], [90, 110], (20, 2)), 1.5, np.full((20, 3), 100, np.uint8)),
            Picture(100, 95, 18, 18, random.integers(0, 256, (3, 3, 3), np.uint8), smooth=False),
            Picture(125, 95, 18, 18, np.full((40, 40, 1), 77, np.uint8)),
            Clip((150, 95, 18, 18), [Area(box(140, 90, 20, 40), (200, 0, 0))]),
        ],
        title="Everything",
    )


def content(data: bytes) -> str:
    """The operators of a PDF file's page."""
    return next(text for text in streams(data) if text.startswith(b"0 J 1 j")).decode("latin-1")


def streams(data: bytes) -> list[bytes]:
    """All streams of a PDF file, inflated."""
    heads = re.finditer(rb"/Length (\d+)>>\nstream\n", data)
    return [zlib.decompress(data[head.end() : head.end() + int(head[1])]) for head in heads]


# The files


@pytest.mark.parametrize("ending", WRITERS)
def test_the_same_drawing_gives_the_same_bytes_and_no_date(ending: str) -> None:
    first = WRITERS[ending](everything(), None)
    WRITERS[ending](everything("other"), 72)
    assert WRITERS[ending](everything(), None) == first
    assert not re.search(rb"20[2-9]\d-?[01]\d-?[0-3]\d", first[:400] + first[-400:])


def test_a_png_says_its_size_and_its_dots_an_inch() -> None:
    picture = Image.open(io.BytesIO(png.encoded(everything(), 200)))
    assert picture.size == (500, 333)
    assert picture.info["dpi"] == pytest.approx((200, 200), abs=0.1)


def test_svg_in_a_browser_is_the_png(chromium: Browser, tmp_path: Path) -> None:
    dpi = 192
    path = tmp_path / "all.svg"
    save(everything("plain words"), path)
    page = chromium.new_page(viewport={"width": 400, "height": 300}, device_scale_factor=dpi / 96)
    page.goto(path.as_uri())
    page.evaluate("document.fonts.ready.then(() => 0)")
    shot = Image.open(io.BytesIO(page.screenshot(clip={"x": 0, "y": 0, "width": 240, "height": 160})))
    page.close()
    ours = np.asarray(png.picture(everything("plain words"), dpi), np.float64)
    theirs = np.asarray(shot.convert("RGB"), np.float64)
    assert ours.shape == theirs.shape
    assert np.abs(ours - theirs).mean() < 2.5
    blurred = [np.asarray(Image.fromarray(one.astype(np.uint8)).reduce(6), np.float64) for one in (ours, theirs)]
    assert np.abs(blurred[0] - blurred[1]).max() < 60, "nothing is missing or elsewhere"


def test_a_pdf_is_whole_and_its_places_are_those_of_its_table() -> None:
    data = pdf.encoded(everything())
    start = int(re.search(rb"startxref\n(\d+)\n%%EOF\n$", data)[1])
    assert data[start:].startswith(b"xref\n0 ")
    for number_, place in enumerate(re.findall(rb"(\d{10}) 00000 n", data), 1):
        assert data[int(place) :].startswith(b"%d 0 obj\n" % number_)
    for length in re.finditer(rb"/Length (\d+)>>\nstream\n", data):
        assert data[length.end() + int(length[1]) :].startswith(b"\nendstream")
    named = {int(n) for n in re.findall(rb"(\d+) 0 R", data)}
    assert named <= set(range(1, len(re.findall(rb" 00000 n", data)) + 1))


def test_the_text_of_a_pdf_can_be_read_back_from_its_glyphs() -> None:
    data = pdf.encoded(everything("Loss × −0.25"))
    map_ = next(text for text in streams(data) if b"beginbfchar" in text)
    letters = {g: bytes.fromhex(u.decode()).decode("utf-16-be") for g, u in re.findall(rb"<(\w{4})> <(\w+)>", map_)}
    drawn = re.findall(r"<([0-9A-F]+)> Tj", content(data))
    texts = ["".join(letters[g.encode()] for g in re.findall("....", one)) for one in drawn]
    assert texts == ["Loss × −0.25", "upright", "end"]


def test_other_letters_are_drawn_as_far_as_they_can_be_and_can_be_copied_as_they_are() -> None:
    text = content(pdf.encoded(everything("Möwe 鷗")))
    assert f"<FEFF{'Möwe 鷗'.encode('utf-16-be').hex().upper()}>" in text
    tree = ET.fromstring(svg.encoded(everything("Möwe 鷗")))
    assert "Möwe 鷗" in [one.text for one in tree.iter("{http://www.w3.org/2000/svg}text")]


@pytest.mark.parametrize("ending", WRITERS)
def test_hostile_texts_are_only_text(ending: str) -> None:
    data = WRITERS[ending](Sheet(90, 30, [Words(5, 15, HOSTILE, 8, INK)], title=HOSTILE), 100)
    if ending == ".svg":
        tree = ET.fromstring(data)
        assert not [one for one in tree.iter() if one.tag.endswith(("script", "img"))]
        assert any("<img src=x" in (one.text or "") for one in tree.iter())
    elif ending == ".pdf":
        assert b"</script" not in data
    else:
        assert np.asarray(Image.open(io.BytesIO(data))).min() < 100


def test_a_file_without_words_carries_no_font() -> None:
    bare = Sheet(30, 30, [Area(box(5, 5, 10, 10), INK)])
    assert len(svg.encoded(bare)) < 400
    assert b"FontFile" not in pdf.encoded(bare)


def test_equal_pictures_are_in_a_pdf_once() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (30, 30, 3), np.uint8)
    twice = Sheet(90, 30, [Picture(0, 0, 20, 20, pixels), Picture(40, 0, 20, 20, pixels)])
    assert pdf.encoded(twice).count(b"/Subtype/Image") == 1


@pytest.mark.parametrize(
    ("size", "smooth", "shape"),
    [
        ((7, 7), False, (98, 98)),
        ((400, 400), True, (100, 100)),
        ((50, 50), True, (50, 50)),
        ((300, 30), False, (100, 30)),
    ],
)
def test_pictures_are_as_fine_as_they_are_printed(size: tuple[int, int], smooth: bool, shape: tuple[int, int]) -> None:
    picture = Picture(0, 0, 72, 72, np.zeros((*size, 1), np.uint8), smooth)
    assert printed(picture, 100).shape[:2] == shape


# The font


def test_the_font_has_signs_of_its_own_and_all_it_had() -> None:
    glyphs = character_map(tables_of(DEFAULT.data)["cmap"])
    assert {"−", "×", "–", "—", "A", "z", "±"} <= set(glyphs)
    assert DEFAULT.width("−", 1) == DEFAULT.width("+", 1)
    drawn = [np.asarray(png.picture(Sheet(20, 20, [Words(3, 15, sign, 16, INK)]), 144)) for sign in "−×–+x-"]
    assert len({one.tobytes() for one in drawn}) == 6


def test_a_font_of_ones_own_and_what_is_none(tmp_path: Path) -> None:
    (tmp_path / "own.ttf").write_bytes(DEFAULT.data)
    own = Font(tmp_path / "own.ttf")
    assert own.width("Hello", 10) == DEFAULT.width("Hello", 10)
    for name, data, error in (
        ("a.otf", b"OTTO" + bytes(30), FormatError),
        ("b.ttf", DEFAULT.data[:300], FormatError),
        ("c.ttf", b"", FormatError),
    ):
        (tmp_path / name).write_bytes(data)
        with pytest.raises(error, match=r"font"):
            look_of(font=tmp_path / name)
    with pytest.raises(NotFoundError, match="there is no font"):
        look_of(font=tmp_path / "none.ttf")


def test_texts_are_cut_and_broken_to_their_room() -> None:
    for room in (10, 40, 200):
        assert DEFAULT.width(DEFAULT.shortened("a very long name of a layer", 8, room), 8) <= room
        lines = DEFAULT.wrapped("many short words and Donaudampfschifffahrtsgesellschaft", 8, room)
        assert all(DEFAULT.width(line, 8) <= room for line in lines)
        assert "".join(lines).replace(" ", "") == "manyshortwordsandDonaudampfschifffahrtsgesellschaft"


# Where they go


def test_where_a_figure_cannot_go_is_said_before_anything_is_drawn(tmp_path: Path) -> None:
    (tmp_path / "there.pdf").write_bytes(b"mine")
    for name, error, said in (
        ("x.tiff", InputError, "change its ending"),
        ("there.pdf", InputError, "is there already"),
        ("no/x.pdf", StorageError, "there is no folder"),
    ):
        with pytest.raises(error, match=said):
            check_target(tmp_path / name)
    assert check_target(tmp_path / "there.pdf", force=True) == tmp_path / "there.pdf"
    assert (tmp_path / "there.pdf").read_bytes() == b"mine"


@pytest.mark.parametrize(
    ("text", "points"), [("3.5in", 252), ("89mm", 89 / 25.4 * 72), ("18 cm", 18 / 2.54 * 72), ("252pt", 252), (7, 504)]
)
def test_lengths(text: str | float, points: float) -> None:
    assert length_of(text) == pytest.approx(points)


@pytest.mark.parametrize(
    "options", [{"width": "wide"}, {"width": "9000in"}, {"dpi": 5}, {"font_size": 0}, {"style": "x"}]
)
def test_a_look_that_makes_no_sense_is_refused(options: dict[str, object]) -> None:
    with pytest.raises(InputError, match=r"length|between|no style"):
        look_of(**options)


# Numbers


def test_ticks_are_round_and_inside_for_any_range() -> None:
    random = np.random.default_rng(0)
    for _ in range(300):
        low = float(random.normal() * 10.0 ** random.integers(-8, 9))
        high = low + float(random.random() + 0.01) * 10.0 ** random.integers(-5, 9) * max(1, abs(low) * 1e-3)
        ticks = nice_ticks(low, high)
        assert 1 <= len(ticks) <= 12
        span = high - low
        assert all(low - 1e-6 * span <= tick <= high + 1e-6 * span for tick in ticks)
    assert len(nice_ticks(np.nan, 1)) == 1
    assert nice_ticks(3, 3) == [3]


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0"), (np.nan, "NaN"), (-np.inf, "−∞"), (1234567, "1.23e6"), (0.1, "0.1"), (-2.5, "−2.5"), (1e-9, "1e−9")],
)
def test_numbers_are_written_as_on_the_pages(value: float, text: str) -> None:
    assert number(value) == text


def test_the_colours_are_those_of_the_pages() -> None:
    assert colours_of("diverging")[[0, 128, 255]].tolist() == [[18, 49, 110], [214, 211, 207], [116, 20, 24]]
    assert levels(np.array([np.nan, np.inf, -np.inf, 0]), -1, 1, signed=True).tolist() == [128, 255, 0, 128]
    assert levels(np.zeros(3), 0, 0, signed=False).tolist() == [0, 0, 0]


# Curves


def test_smoothing_is_that_of_the_definition() -> None:
    y = np.array([1.0, np.nan, 3.0, 5.0, np.inf, 2.0])
    weight, average, mass, expected = 0.6, 0.0, 0.0, []
    for value in y:
        if np.isfinite(value):
            average, mass = weight * average + (1 - weight) * value, weight * mass + 1 - weight
            expected.append(average / mass)
        else:
            expected.append(value)
    assert smooth(y, weight, [(0, 6)]) == pytest.approx(np.array(expected), nan_ok=True)


def test_thinning_keeps_every_spike() -> None:
    y = np.zeros(100_000)
    y[[3, 44_444, 99_990]] = 5, -7, 9
    kept = thinned(np.column_stack([np.linspace(0, 100, len(y)), y]), 0, 100, 200)
    assert len(kept) <= 4 * 201
    assert {5, -7, 9} <= set(kept[:, 1].tolist())
    assert (np.diff(kept[:, 0]) >= 0).all()


def drawn(y: list[float], **options: object) -> list[object]:
    trace = Trace("a", np.arange(len(y), dtype=np.float64), np.array(y), (0, 0, 255))
    shapes, _ = charts(Look(), [Chart("c", [trace])], **options)
    (clip,) = [shape for shape in shapes if isinstance(shape, Clip)]
    return list(clip.shapes)


def test_what_is_no_number_is_a_gap_and_a_lone_point_a_dot() -> None:
    inside = drawn([1, 2, np.nan, 3, np.nan, 4, 5])
    assert [len(shape.points) for shape in inside] == [2, 1, 2]
    assert isinstance(inside[1], Dots)


@pytest.mark.parametrize("log_y", [False, True])
@pytest.mark.parametrize("y", [[], [np.nan], [0, 0, 0], [-1, -2], [1e300, 1e-300], [5], [np.inf, 1, -np.inf]])
def test_odd_curves_are_drawn_on_finite_axes(y: list[float], log_y: bool) -> None:
    for shape in drawn(y, log_y=log_y, smoothing=0.5):
        assert np.isfinite(shape.points).all()


def test_a_run_that_began_anew_has_two_lines() -> None:
    x = np.array([0.0, 1, 2, 1, 2, 3])
    assert passes_of(x) == [(0, 3), (3, 6)]


def test_titles_and_captions_stand_where_they_should() -> None:
    look = Look(width=200, title="Above", caption=True)
    made = sheet(look, [Area(box(0, 0, 50, 50), INK)], 50, "what it says of itself")
    words = {shape.text: shape.y for shape in made.shapes if isinstance(shape, Words)}
    area = next(shape for shape in made.shapes if isinstance(shape, Area))
    assert words["Above"] < area.points[:, 1].min() < area.points[:, 1].max() < words["what it says of itself"]
    assert not [s for s in sheet(Look(caption=False), [], 5, "x").shapes if isinstance(s, Words)]


# Volumes


def test_a_solid_block_is_opaque_where_its_box_is_seen_and_nowhere_else() -> None:
    clear = marched(
        Matter(np.zeros((4, 4, 4), np.float32), colours_of("grey"), opacity_ramp(signed=False)), 60, (9, 9, 9)
    )
    assert (clear == 9).all()
    full = Matter(
        np.ones((4, 4, 4), np.float32), colours_of("grey"), opacity_ramp(signed=False), 1.0, Camera(0, 0, 2.75)
    )
    picture = marched(full, 121, (0, 0, 0))[..., 0]
    assert picture[60, 60] >= 250
    rows = np.flatnonzero(picture[:, 60] > 128)
    half = np.tan(np.radians(20)) * (2.75 - 1.15 / 2)  # the front face, seen from 2.75 before the middle
    assert len(rows) == pytest.approx(len(picture) * 1.15 / (2 * half), abs=2)


def test_marching_is_the_slow_march_of_the_browser_tests() -> None:
    from volume_marcher import View, composite, sampled

    values = np.random.default_rng(0).random((5, 7, 6)).astype(np.float32)
    side, camera = 120, {"yaw": 0.62, "pitch": 0.36, "distance": 2.75, "target": (0, 0, 0)}
    matter = Matter(values, colours_of("inferno"), opacity_ramp(signed=False))
    ours = marched(matter, side, (0, 0, 0)).reshape(-1, 3) / 255
    table = np.column_stack([colours_of("inferno"), np.rint(255 * opacity_ramp(signed=False))]).astype(np.uint8)
    theirs, _ = composite(sampled(View(values.astype(np.float64), camera, side, side), 3.0), table, 0.5)
    assert np.abs(ours - theirs).mean() < 0.01
    assert np.abs(ours - theirs).max() < 0.15


@pytest.mark.parametrize("name", ["curves", "font", "png", "scales", "shapes", "style", "svg", "tiles"])
def test_the_examples_of_the_docstrings_run(name: str) -> None:
    import doctest

    module = __import__(f"convscope.drawing.{name}", fromlist=["_"])
    failed, tried = doctest.testmod(module, globs={**vars(module), "np": np})
    assert failed == 0
    assert tried
