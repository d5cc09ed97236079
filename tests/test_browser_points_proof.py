"""The scene of the points in a real Chromium, against projection, pictures and polygons in NumPy."""

from __future__ import annotations

import base64
import io
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hatch_build import find_npm
from PIL import Image
from playwright.sync_api import Page

from browser_pages import until
from conftest import ROOT

pytestmark = pytest.mark.browser

WIDTH, HEIGHT = 360, 240
FLAT = {"yaw": 0.0, "pitch": 0.0, "distance": 2.2, "target": [0.1, -0.05, 0]}
SOLID = {"yaw": 0.7, "pitch": -0.4, "distance": 3.4, "target": [0.1, 0.05, -0.1]}
NORMAL, DIM, HIDDEN = 0, 1, 4
PAGE = f"""<style>
  #host {{ position: relative; width: {WIDTH}px; height: {HEIGHT}px }} canvas.gl {{ position: absolute; inset: 0 }}
</style><div id="host" tabindex="0"></div>"""
DRIVE = """
const bytes = (text, type) => new type(Uint8Array.from(atob(text), (c) => c.charCodeAt(0)).buffer);
window.told = [];
window.show = ([positions, rgb, states, flat, stand, detail]) => {
  const host = document.getElementById("host");
  window.scene?.destroy();
  const count = positions.length / 3;
  window.scene = new PointsScene(host, count, "points", () => undefined);
  scene.positions.set(positions);
  scene.setFlat(flat, scene.positions);
  scene.setDetail(detail);
  scene.setColours(rgb, "rgb(255 255 255)", "rgb(0 0 0)");
  scene.setStates(states);
  scene.orbit.stand = stand;
  scene.moved();
};
window.showBytes = ([positions, rgb, states, ...rest]) =>
  show([bytes(positions, Float32Array), bytes(rgb, Uint8Array), bytes(states, Uint8Array), ...rest]);
window.picture = async (width) => {
  const found = new Uint8Array(await (await scene.picture(width)).arrayBuffer());
  return btoa(Array.from(found, (v) => String.fromCharCode(v)).join(""));
};
"""
Floats = npt.NDArray[np.floating[Any]]
Bytes = npt.NDArray[np.uint8]


@pytest.fixture(scope="module")
def script(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The real scene as one script."""
    out = tmp_path_factory.mktemp("scene") / "scene.js"
    bundler = ROOT / "web" / "node_modules" / ".bin" / "esbuild"
    command = [bundler, ROOT / "web" / "tests" / "pointspage.ts", "--bundle", "--format=iife", f"--outfile={out}"]
    subprocess.run(command, check=True, capture_output=True, env=find_npm()[1])  # the bundler is a script of Node's
    return out


@pytest.fixture
def driver(page: Page, script: Path) -> Page:
    page.set_content(PAGE)
    page.add_script_tag(path=script)
    page.add_script_tag(content=DRIVE)
    return page


def show(
    page: Page,
    positions: Floats,
    rgb: Bytes,
    states: Bytes,
    stand: dict[str, Any] = FLAT,
    detail: str = "dots",
) -> None:
    texts = [
        base64.b64encode(one.tobytes()).decode() for one in (positions.astype(np.float32), rgb, states.astype(np.uint8))
    ]
    page.evaluate("(all) => showBytes(all)", [*texts, stand is FLAT, stand, detail])


def picture(page: Page, width: int = WIDTH) -> Bytes:
    """What is seen, (height, width, 3)."""
    png = base64.b64decode(page.evaluate("(width) => picture(width)", width))
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB"))


def project(positions: Floats, stand: dict[str, Any]) -> tuple[Floats, Floats]:
    """Pixels (N, 2) and depths (N,) of points, from where the camera stands; field of view of 40°."""
    yaw, pitch = stand["yaw"], stand["pitch"]
    back = np.array([np.sin(yaw) * np.cos(pitch), np.sin(pitch), np.cos(yaw) * np.cos(pitch)])
    right = np.cross([0, 1, 0], back)
    right /= np.linalg.norm(right)
    axes = np.array([right, np.cross(back, right), back])
    x, y, z = axes @ (positions.astype(float) - stand["target"] - stand["distance"] * back).T
    scale = HEIGHT / 2 / np.tan(np.radians(20))
    return np.stack([WIDTH / 2 - scale * x / z, HEIGHT / 2 + scale * y / z], 1), -z


def spread(count: int, *, flat: bool, seed: int = 3) -> Floats:
    """Points no two of which touch on screen, in their places from where the camera stands."""
    rng, found = np.random.default_rng(seed), np.zeros((0, 3))
    while len(found) < count:
        tried = np.vstack([found, rng.uniform(-0.9, 0.9, (1, 3)) * [1, 0.75, 0 if flat else 1]])
        at, _ = project(tried, FLAT if flat else SOLID)
        far = len(tried) < 2 or np.linalg.norm(at[:-1] - at[-1], axis=1).min() > 24
        if far and (np.abs(at[-1] - [WIDTH / 2, HEIGHT / 2]) < [WIDTH / 2 - 12, HEIGHT / 2 - 12]).all():
            found = tried
    return found.astype(np.float32)


def colours(count: int) -> Bytes:
    """Colours that are told apart."""
    return np.array([[k * 37 % 230, k * 91 % 230, k * 53 % 230] for k in range(count)], np.uint8)


def inside(at: Floats, corners: Floats) -> npt.NDArray[np.bool_]:
    """Even-odd rule: how many edges a ray to the right crosses."""
    x, y = at.T[:, :, None]
    (x0, y0), (x1, y1) = corners.T, np.roll(corners, -1, 0).T
    crossing = (y >= y0) != (y >= y1)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray((crossing & (x < x0 + (y - y0) / (y1 - y0) * (x1 - x0))).sum(1) % 2 == 1)


@pytest.mark.parametrize("flat", [True, False])
def test_points_are_where_projection_puts_them_in_their_colours(driver: Page, flat: bool) -> None:
    stand, count = FLAT if flat else SOLID, 24
    positions, rgb, states = spread(count, flat=flat), colours(count), np.zeros(count, np.uint8)
    states[5], states[6] = HIDDEN, DIM
    show(driver, positions, rgb, states, stand)
    seen, (at, _) = picture(driver), project(positions, stand)
    screen = driver.evaluate(f"Array.from({{ length: {count} }}, (_, i) => scene.screen(i))")
    picks = driver.evaluate("(at) => at.map(([x, y]) => scene.pick(x, y, 8))", at.tolist())
    for i in range(count):
        if i == 5:
            assert (screen[i], picks[i]) == (None, -1)
            assert (np.abs(seen - rgb[i].astype(int)).max(2) > 2).all()
            continue
        assert np.abs(np.subtract(screen[i], at[i])).max() < 0.01
        assert picks[i] == (-1 if i == 6 else i)
        shade = np.rint(rgb[i] + (255 - rgb[i].astype(float)) * 0.72) if i == 6 else rgb[i]
        blob = np.argwhere(np.abs(seen - shade.astype(float)).max(2) <= 1)
        assert len(blob)  # its very colour
        assert np.abs(blob.mean(0)[::-1] + 0.5 - at[i]).max() < 1


def test_lasso_and_box_agree_with_the_rule(driver: Page) -> None:
    rng = np.random.default_rng(0)
    positions = rng.normal(0, 0.5, (4000, 3)).astype(np.float32)
    states = np.where(rng.random(4000) < 0.1, HIDDEN, NORMAL).astype(np.uint8)
    show(driver, positions, np.zeros((4000, 3), np.uint8), states, SOLID)
    at, _ = project(positions, SOLID)
    turn = np.arange(60) * 23 * 2 * np.pi / 60  # a star that crosses itself
    corners = np.stack([170 + 120 * np.cos(turn), 130 + 90 * np.sin(turn)], 1)
    lasso = driver.evaluate("(corners) => Array.from(scene.inPolygon(corners))", corners.ravel().tolist())
    assert lasso == np.flatnonzero(inside(at, corners) & (states != HIDDEN)).tolist()
    assert 500 < len(lasso) < 3500
    box = driver.evaluate("Array.from(scene.inBox(250, 40, 100, 200))")
    within = (at[:, 0] >= 100) & (at[:, 0] <= 250) & (at[:, 1] >= 40) & (at[:, 1] <= 200)
    assert box == np.flatnonzero(within & (states != HIDDEN)).tolist()
    assert (
        driver.evaluate("[[], [5, 5], [1, 1, 2, 2], [0, 0, NaN, 1, 2, 2]].map((c) => scene.inPolygon(c).length)")
        == [0] * 4
    )


TILE, SIZES = (24, 24), [(24, 24), (12, 24), (24, 14), (0, 0)]


def sheet_of(count: int, per_file: int = 4) -> tuple[dict[str, Any], list[Bytes]]:
    """Sheets of random pictures as data addresses, two tiles a row; picture i is SIZES[i % 4] large."""
    rng, pictures, files = np.random.default_rng(1), [], []
    for first in range(0, count, per_file):
        sheet = np.full((2 * 26, 2 * 26, 3), 90, np.uint8)
        for i in range(first, min(count, first + per_file)):
            height, width = SIZES[i % 4]
            pictures.append(rng.integers(0, 256, (height, width, 3), dtype=np.uint8))
            y = (i - first) // 2 * 26 + 1 + (24 - height) // 2
            x = i % 2 * 26 + 1 + (24 - width) // 2
            sheet[y : y + height, x : x + width] = pictures[-1]
        out = io.BytesIO()
        Image.fromarray(sheet).save(out, "PNG")
        files.append("data:image/png;base64," + base64.b64encode(out.getvalue()).decode())
    about = {"tile": TILE, "gutter": 1, "columns": 2, "rows": 2, "channels": 3, "codec": "png"}
    return {**about, "total_rows": count // 2, "files": files}, pictures


def thumbnails(page: Page, sheet: dict[str, Any], count: int) -> None:
    page.evaluate(
        """([sheet, sides]) => {
          const failed = (message) => told.push(message);
          const [pictures, sizes] = [new PictureCache(), Uint8Array.from(sides)];
          scene.setThumbnails({ sheet, url: (file) => file, pictures, sizes, failed });
        }""",
        [sheet, [side for i in range(count) for side in SIZES[i % 4]]],
    )


def shares(seen: Bytes, tile: Bytes, middle: Floats, side: float) -> float:
    """Share of a picture's pixels, but those under its frame, that are on screen where they belong."""
    height, width = tile.shape[:2]
    grid = np.stack(np.meshgrid(np.arange(3, width - 3), np.arange(3, height - 3)), -1).reshape(-1, 2)
    at = middle + (grid + 0.5 - np.array([width, height]) / 2) * side / max(height, width)
    x, y = np.floor(at).astype(int).T
    drawn, truth = seen[y, x].astype(int), tile[grid[:, 1], grid[:, 0]].astype(int)
    return float(np.mean(np.abs(drawn - truth).max(1) <= 2))


@pytest.mark.parametrize("stand", [FLAT, {**SOLID, "yaw": 0.3, "pitch": -0.2, "distance": 2.1}])
def test_thumbnails_are_the_sheets_and_come_back_after_a_lost_context(driver: Page, stand: dict[str, Any]) -> None:
    count, shown = 60, 12  # the others are hidden: they only make the pictures small enough to lie beside each other
    positions = np.zeros((count, 3), np.float32)
    positions[:shown, 0] = np.arange(shown) % 4 * 0.4 - 0.6
    positions[:shown, 1] = np.arange(shown) // 4 * 0.45 - 0.45
    sheet, tiles = sheet_of(shown)
    sheet["files"][2] = "data:image/png;base64,AAAA"
    states = np.where(np.arange(count) < shown, NORMAL, HIDDEN)
    show(driver, positions, colours(count), states, stand, "auto")
    thumbnails(driver, sheet, count)
    at, depth = project(positions, stand)
    sides = 2.5 / np.sqrt(count) * HEIGHT / 2 / np.tan(np.radians(20)) / depth

    def right(seen: Bytes) -> bool:
        return all(shares(seen, tiles[i], at[i], sides[i]) > 0.97 for i in (0, 1, 2, 4, 5, 6))

    until(driver, lambda: right(picture(driver)), "thumbnails")
    until(driver, lambda: driver.evaluate("told.length") == 1, "what went wrong, said once")
    seen = picture(driver)
    for i in (3, 7, 8, 9, 10, 11):  # missing, or of a sheet that cannot be read: dots
        x, y = np.floor(at[i]).astype(int)
        assert (seen[y, x] == colours(count)[i]).all()
        assert (seen[y + 10, x] == 255).all()
    corner = [at[0, 0] + 0.4 * sides[0], at[0, 1] - 0.4 * sides[0]]
    assert driver.evaluate("([x, y]) => scene.pick(x, y)", corner) == 0  # anywhere on a picture
    driver.evaluate(
        """async () => {
          const lose = scene.canvas.getContext("webgl2").getExtension("WEBGL_lose_context");
          const heard = (name) => new Promise((done) => scene.canvas.addEventListener(name, done, { once: true }));
          const [lost, back] = [heard("webglcontextlost"), heard("webglcontextrestored")];
          lose.loseContext();
          await lost;
          await new Promise((done) => setTimeout(done)); // a context may be restored once all know of the loss
          lose.restoreContext();
          await back;
        }"""
    )
    until(driver, lambda: bool((picture(driver) == seen).all()), "the same picture")


def test_a_million_points_are_counted_and_picked(driver: Page) -> None:
    driver.evaluate(
        """([stand]) => {
          const count = 1_000_000;
          const positions = new Float32Array(3 * count);
          for (let i = 0; i < count; i++) {
            const near = i % 10 ? 1 : 0.1;
            positions[3 * i] = near * (((i * 7919) % 100003) / 50001.5 - 1);
            positions[3 * i + 1] = near * (((i * 104729) % 100019) / 50009.5 - 1);
          }
          show([positions, new Uint8Array(3 * count).fill(40), new Uint8Array(count), true, stand, "auto"]);
        }""",
        [FLAT],
    )
    i = np.arange(1_000_000)
    near = np.where(i % 10, 1, 0.1)
    positions = np.zeros((len(i), 3), np.float32)
    positions[:, 0] = near * ((i * 7919) % 100003 / 50001.5 - 1)
    positions[:, 1] = near * ((i * 104729) % 100019 / 50009.5 - 1)
    at, _ = project(positions, FLAT)
    seen = picture(driver)
    edges = [np.arange(HEIGHT + 1), np.arange(WIDTH + 1)]
    counts = np.histogram2d(at[:, 1], at[:, 0], edges)[0]
    assert driver.evaluate("scene.density.most") == pytest.approx(counts.max(), abs=2)  # of points on an edge
    dark = 255 - seen[:, :, 0].astype(float)
    shifts = [(x, y) for x in (-0.01, 0.01) for y in (-0.01, 0.01)]  # of two an edge is of either
    empty = sum(np.histogram2d(at[:, 1] + y, at[:, 0] + x, edges)[0] for x, y in shifts) == 0
    assert empty.sum() > 10_000
    assert (dark[empty] == 0).all()
    assert (dark[counts > 0] > 0).mean() > 0.99
    assert np.corrcoef(dark[counts > 0], np.log(counts[counts > 0]))[0, 1] > 0.95
    places = np.random.default_rng(2).uniform([40, 40], [WIDTH - 40, HEIGHT - 40], (12, 2))
    picks = driver.evaluate("(at) => at.map(([x, y]) => scene.pick(x, y))", places.tolist())
    for (x, y), found in zip(places, picks, strict=True):
        distances = np.hypot(*(at - [x, y]).T)
        assert distances[found] == pytest.approx(distances.min(), abs=1e-3)
    driver.evaluate("scene.setDetail('dots')")
    share = np.mean(picture(driver)[:, :, 0] < 128)
    assert share == pytest.approx(np.mean(counts > 0), abs=0.2)
    assert driver.evaluate("scene.density") is None


def test_the_view_as_text_and_the_keys(driver: Page) -> None:
    show(driver, spread(20, flat=True), colours(20), np.zeros(20, np.uint8))
    said = driver.evaluate("scene.orbit.view()")
    assert said == "2.2_0.1_-0.05"
    driver.locator("#host").focus()
    driver.keyboard.press("ArrowRight")
    driver.keyboard.press("+")
    moved = driver.evaluate("scene.orbit.view()")
    assert float(moved.split("_")[0]) < 2.2
    assert float(moved.split("_")[1]) != 0.1
    assert driver.evaluate("(v) => scene.orbit.setView(v)", said)
    assert driver.evaluate("scene.orbit.view()") == said
    assert driver.evaluate("['', 'a_b_c', '1_2', '1_2_3_4_5_6'].some((v) => scene.orbit.setView(v))") is False
    show(driver, spread(20, flat=False), colours(20), np.zeros(20, np.uint8), SOLID)
    assert driver.evaluate("scene.orbit.view()") == "70_-40_3.4_0.1_0.05_-0.1"
    assert picture(driver, 720).shape == (480, 720, 3)
    assert driver.evaluate("[scene.canvas.width, scene.canvas.height]") == [WIDTH, HEIGHT]
