"""The scene of the volume in a real Chromium, pixel by pixel against a ray-marcher in NumPy."""

from __future__ import annotations

import base64
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hatch_build import find_npm
from playwright.sync_api import Page

from browser_pages import until
from conftest import ROOT
from volume_marcher import Pieces, View, composite, crossed, maximum, sampled

pytestmark = pytest.mark.browser

WIDTH, HEIGHT = 120, 90
GREY = np.repeat(np.arange(256, dtype=np.uint8)[:, None], 4, axis=1)
VIEWS: list[dict[str, Any]] = [
    {"yaw": 0.62, "pitch": 0.36, "distance": 2.75, "target": [0, 0, 0]},
    {"yaw": -2.1, "pitch": -0.8, "distance": 1.9, "target": [0.2, -0.1, 0.05]},
    {"yaw": 0.3, "pitch": 0.2, "distance": 0.3, "target": [0, 0, 0]},  # from inside
]
PAGE = f"""<style>
  #host {{ position: relative; width: {WIDTH}px; height: {HEIGHT}px }} canvas.gl {{ position: absolute; inset: 0 }}
</style><div id="host" tabindex="0"></div>"""
DRIVE = """
window.bytes = (text, type) => new type(Uint8Array.from(atob(text), (c) => c.charCodeAt(0)).buffer);
window.told = [];
window.open_scene = () => {
  window.scene = new VolumeScene(document.getElementById("host"), "volume", {
    onCamera: (view) => { window.moved = view; },
    onContext: (lost) => told.push(lost ? "lost" : "back"),
  });
};
window.picture = () => {
  const { width, height } = scene.canvas;
  const pen = Object.assign(document.createElement("canvas"), { width, height }).getContext("2d");
  pen.fillRect(0, 0, width, height);
  pen.drawImage(scene.canvas, 0, 0);
  return btoa(Array.from(pen.getImageData(0, 0, width, height).data, (v) => String.fromCharCode(v)).join(""));
};
"""


@pytest.fixture(scope="module")
def script(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The real scene as one script."""
    out = tmp_path_factory.mktemp("scene") / "scene.js"
    bundler = ROOT / "web" / "node_modules" / ".bin" / "esbuild"
    command = [bundler, ROOT / "web" / "tests" / "volumepage.ts", "--bundle", "--format=iife", f"--outfile={out}"]
    subprocess.run(command, check=True, capture_output=True, env=find_npm()[1])  # the bundler is a script of Node's
    return out


class Driver:
    """A page with the scene; sets it, and returns its pictures."""

    def __init__(self, page: Page, script: Path) -> None:
        self.page = page
        page.set_content(PAGE)
        page.add_script_tag(path=script)
        page.add_script_tag(content=DRIVE)

    def open(self, voxels: npt.NDArray[Any], **more: Any) -> None:
        kind = {1: "Uint8Array", 2: "Uint16Array"}[voxels.itemsize]
        channels, height, width = voxels.shape
        shape = {"channels": channels, "height": height, "width": width, **more}
        self.page.evaluate(
            f"""([text, shape]) => {{
              if (!window.scene) open_scene();
              scene.setVoxels({{ data: bytes(text, {kind}), ...shape }});
            }}""",
            [base64.b64encode(voxels.tobytes()).decode(), shape],
        )

    def draw(
        self,
        camera: dict[str, Any],
        *,
        transfer: npt.NDArray[np.uint8] = GREY,
        clip: Any = None,
        slices: Any = None,
        **look: Any,
    ) -> npt.NDArray[np.uint8]:
        """A fine picture over black, (pixels, 3)."""
        planes = dict(zip("xyz", slices, strict=True)) if slices else {}
        text = self.page.evaluate(
            """([camera, look, table, clip, slices]) => {
              scene.camera = camera;
              scene.setLook({ ...look, transfer: bytes(table, Uint8Array) });
              scene.setClip(clip);
              scene.setSlices(slices);
              scene.render();
              return picture();
            }""",
            [camera, look, base64.b64encode(transfer.tobytes()).decode(), clip, planes],
        )
        return np.frombuffer(base64.b64decode(text), np.uint8).reshape(-1, 4)[:, :3]

    def picks(self, pixels: npt.NDArray[np.intp]) -> npt.NDArray[np.intp]:
        """Picked voxels (N, 3): column, row, channel; -1 for none."""
        found = self.page.evaluate(
            """(pixels) => {
              const { left, top } = scene.canvas.getBoundingClientRect();
              return pixels.map((pixel) => {
                const hit = scene.pick(left + (pixel % %d) + 0.5, top + Math.floor(pixel / %d) + 0.5);
                return hit ? [hit.column, hit.row, hit.channel] : [-1, -1, -1];
              });
            }""".replace("%d", str(WIDTH)),
            pixels.tolist(),
        )
        return np.array(found)


@pytest.fixture
def driver(page: Page, script: Path) -> Driver:
    return Driver(page, script)


def feature_maps(signed: bool = False, shape: tuple[int, int, int] = (20, 13, 17)) -> npt.NDArray[np.uint8]:
    """Smooth responses, of which a ReLU leaves half; signed: 127.5 stands for 0."""
    values = np.random.default_rng(7).normal(size=shape)
    for axis in range(3):
        values = values + np.roll(values, 1, axis)
    values[12:, :, 9:] = 0
    values /= np.abs(values).max()
    return np.rint(127.5 * values + 127.5 if signed else 255 * np.maximum(values, 0)).astype(np.uint8)


def view_of(voxels: npt.NDArray[np.uint8], camera: dict[str, Any], **more: Any) -> View:
    return View(voxels / 255, camera, WIDTH, HEIGHT, **more)


def same(view: View, drawn: npt.NDArray[Any], measure: Callable[[Pieces], npt.NDArray[Any]]) -> bool:
    """Whether every pixel is what its ray measures.

    Whether a ray that grazes an edge is in a voxel, float32 and float64 may see differently: up to one pixel in a
    hundred may be what a ray a hundredth of a pixel beside it measures.
    """
    truth = measure(crossed(view))
    if (drawn == truth).all():
        return True
    shifts = [(0.01, 0), (-0.01, 0), (0, 0.01), (0, -0.01)]
    near = np.array([truth, *(measure(crossed(view.moved(*shift))) for shift in shifts)])
    between = (near.min(0) <= drawn) & (drawn <= near.max(0))
    return bool(between.all() and np.mean(drawn == truth) > 0.99)


@pytest.mark.parametrize("clip", [None, (3, 17, 0, 9, 2, 18)])
def test_the_maximum_is_exact(driver: Driver, clip: tuple[int, ...] | None) -> None:
    voxels = feature_maps()
    driver.open(voxels)
    for camera in VIEWS:
        view = view_of(voxels, camera, clip=clip)
        drawn = driver.draw(camera, mode="maximum", sampling="voxels", clip=clip)
        assert (drawn[:, 0] == drawn[:, 2]).all()
        assert drawn.max() > 150
        assert same(view, drawn[:, 0], lambda pieces: np.rint(255 * maximum(pieces)))  # no tolerance in values
        smooth = driver.draw(camera, mode="maximum", clip=clip)
        assert np.abs(smooth[:, 0] - 255 * maximum(sampled(view))).max() < 1


def test_the_maximum_of_signed_values_is_the_strongest_of_both_signs(driver: Driver) -> None:
    voxels = feature_maps(signed=True)
    driver.open(voxels)
    for camera in VIEWS:
        view = view_of(voxels, camera)
        drawn = driver.draw(camera, mode="maximum", sampling="voxels", signed=True, zero=0.5)[:, 0]
        truth = np.rint(255 * maximum(crossed(view), zero=0.5))
        box = truth > 0
        # Of two that are equally strong either may be shown; outside the box both pictures are 0.
        assert same(view, np.abs(drawn - 127.5), lambda p: np.abs(np.rint(255 * maximum(p, zero=0.5)) - 127.5))
        assert np.mean(drawn == truth) > 0.99
        assert (truth[box] < 127).mean() > 0.2  # both signs are seen
        assert (truth[box] > 128).mean() > 0.2


def test_float16_voxels_look_as_their_values(driver: Driver) -> None:
    values = np.random.default_rng(3).uniform(-8, 12, (9, 11, 10)).astype(np.float16)
    driver.open(values.view(np.uint16), window=[-8, 12])
    shares = (values.astype(float) + 8) / 20
    for camera in VIEWS[:2]:
        view = View(shares, camera, WIDTH, HEIGHT)
        drawn = driver.draw(camera, mode="maximum", sampling="voxels")[:, 0]
        assert same(view, drawn, lambda pieces: np.rint(255 * maximum(pieces)))
        smooth = driver.draw(camera, mode="maximum")[:, 0]
        assert np.abs(smooth - 255 * maximum(sampled(view))).max() < 1


def coloured() -> npt.NDArray[np.uint8]:
    """A transfer function whose parts can be told apart; what is weak is not drawn."""
    level = np.arange(256)
    columns = [level, 255 - level, np.abs(2 * level - 255), np.where(level < 60, 0, (level - 60) // 3)]
    return np.stack(columns, axis=1).astype(np.uint8)


def test_the_composite_agrees_with_the_marcher(driver: Driver) -> None:
    voxels, transfer = feature_maps(), coloured()
    driver.open(voxels)
    for camera in VIEWS:
        view = view_of(voxels, camera)
        for sampling, march in (("smooth", sampled), ("voxels", crossed)):
            for opacity in (0.3, 1):
                truth, _ = composite(march(view), transfer, opacity)
                drawn = driver.draw(camera, mode="composite", sampling=sampling, transfer=transfer, opacity=opacity)
                off = np.abs(drawn - 255 * truth)
                assert truth.max() > 0.1
                # The ray ends at an opacity of 0.99, and two pictures are rounded: three steps of 255, a few at edges.
                assert np.quantile(off, 0.995) < 3.1, (sampling, opacity)
                assert off.mean() < 0.4
    # Finer sampling changes the look little: opacity belongs to lengths, not to samples.
    coarse, fine = (
        driver.draw(VIEWS[0], mode="composite", transfer=transfer, rate=rate).astype(int) for rate in (1.5, 6)
    )
    assert np.abs(coarse - fine).mean() < 1.5


def test_picking_finds_the_voxel_that_is_seen(driver: Driver) -> None:
    voxels, transfer = feature_maps(), coloured()
    driver.open(voxels)
    pixels = np.random.default_rng(0).choice(WIDTH * HEIGHT, 300, replace=False)
    for camera in VIEWS:
        for sampling, march in (("smooth", sampled), ("voxels", crossed)):
            view = view_of(voxels, camera)
            pieces = march(view)
            inside = pieces.lengths > 0
            _, added = composite(pieces, transfer, 1)
            reached = (pieces.values >= 0.4) & inside
            wanted = {
                "maximum": np.where(inside, pieces.values, 0),
                "composite": added,
                "iso": reached * np.arange(reached.shape[1], 0, -1),  # the first
            }
            for mode, weight in wanted.items():
                driver.draw(camera, mode=mode, sampling=sampling, transfer=transfer, iso=0.4)
                best = weight[pixels].argmax(1)
                truth = view.voxel_at(pieces.places[pixels, best])
                truth[weight[pixels].max(1) <= 0] = -1
                found = driver.picks(pixels)
                assert ((truth >= 0).any() and (truth < 0).any()) or camera is VIEWS[2]
                assert np.mean((found == truth).all(1)) > 0.98, (mode, sampling)  # grazed edges and equal values


def test_surfaces_and_planes_stand_where_they_should(driver: Driver) -> None:
    voxels = feature_maps()
    driver.open(voxels)
    for camera in VIEWS[:2]:
        view = view_of(voxels, camera, slices=(8, 6, 4))
        for sampling, march in (("smooth", sampled), ("voxels", crossed)):
            pieces = march(view)
            seen = ((pieces.values >= 0.25) & (pieces.lengths > 0)).any(1)
            drawn = driver.draw(camera, mode="iso", sampling=sampling, iso=0.25)[:, 0]
            assert 0.05 < seen.mean() < 0.9
            assert np.mean((drawn > 0) == seen) > 0.995
            assert len(np.unique(drawn[seen])) > (3 if sampling == "smooth" else 2)  # shaded
        planes = view.planes()
        eye, ways, *_ = view.rays()
        hit = np.isfinite(planes)
        index = view.voxel_at(eye + ways[hit] * planes[hit, None])
        truth = np.rint(255 * view.read(index))
        drawn = driver.draw(camera, mode="slices", sampling="voxels", slices=(8, 6, 4))[:, 0]
        assert np.mean(drawn[hit] == truth) > 0.98  # pixels on the border of two voxels
        assert not drawn[~hit].any()
        pixels = np.flatnonzero(hit)[::37]
        truth = view.voxel_at(eye + ways[pixels] * planes[pixels, None])
        assert np.mean((driver.picks(pixels) == truth).all(1)) > 0.98
        # In a volume of which nothing is drawn they stand alone.
        clear = GREY * np.array([1, 1, 1, 0], np.uint8)
        both = driver.draw(
            camera,
            mode="composite",
            sampling="voxels",
            transfer=clear,
            slices=(8, 6, 4),
        )
        assert (both[:, 0] == drawn).all()


def test_a_volume_too_long_for_a_texture_keeps_its_strongest_voxels(driver: Driver) -> None:
    voxels = np.random.default_rng(5).integers(0, 255, (17_001, 2, 2)).astype(np.uint8) ** 2 // 255
    voxels[:, 0, 0] //= 2
    driver.open(voxels)
    drawn = driver.draw(VIEWS[0], mode="maximum", sampling="voxels", clip=(0, 2, 0, 2, 0, 17_001))[:, 0]
    by = driver.page.evaluate("scene.reduced")
    limit = driver.page.evaluate("scene.canvas.getContext('webgl2').getParameter(0x8073)")
    factor = -(-len(voxels) // limit)
    assert by == {"channels": factor, "rows": 1, "columns": 1}
    padded = np.concatenate([voxels, np.zeros((-len(voxels) % factor, 2, 2), np.uint8)])
    pooled = padded.reshape(-1, factor, 2, 2).max(1)
    assert drawn.max() == pooled.max()


def test_the_picture_comes_back_with_the_context(driver: Driver) -> None:
    driver.open(feature_maps())
    before = driver.draw(VIEWS[0], mode="maximum")
    told = driver.page.evaluate(
        """async () => {
          const lose = scene.canvas.getContext("webgl2").getExtension("WEBGL_lose_context");
          const wait = (name) => new Promise((done) => scene.canvas.addEventListener(name, done, { once: true }));
          const [lost, back] = [wait("webglcontextlost"), wait("webglcontextrestored")];
          lose.loseContext();
          await lost;
          await new Promise((done) => setTimeout(done)); // a context may be restored once all know of the loss
          scene.render();
          lose.restoreContext();
          await back;
          await scene.settled();
          return told;
        }"""
    )
    assert told == ["lost", "back"]
    driver.page.evaluate("scene.render()")
    assert (driver.draw(VIEWS[0], mode="maximum") == before).all()


def test_captures_are_the_picture_and_leave_the_page_alone(driver: Driver) -> None:
    driver.open(feature_maps())
    before = driver.draw(VIEWS[0], mode="maximum", axes=False)
    text = driver.page.evaluate(
        """async () => {
          scene.setColours({ background: "#000", line: "#000", text: "#000", accent: "#000" });
          const same = await scene.capture(scene.canvas.width, scene.canvas.height);
          const small = await scene.capture(40, 30);
          return [btoa(Array.from(same.data, (v) => String.fromCharCode(v)).join("")), small.width, small.height];
        }"""
    )
    captured = np.frombuffer(base64.b64decode(text[0]), np.uint8).reshape(-1, 4)
    assert (captured[:, 3] == 255).all()
    assert np.mean(captured[:, :3] == before) > 0.97  # black lines of the box are over it
    assert text[1:] == [40, 30]
    assert driver.page.evaluate("[scene.canvas.width, scene.canvas.height]") == [WIDTH, HEIGHT]


def test_keys_wheel_and_two_fingers_move_the_camera(driver: Driver) -> None:
    page = driver.page
    driver.open(feature_maps())
    home = page.evaluate("scene.camera")
    page.locator("#host").focus()
    for key in ("ArrowLeft", "ArrowUp", "+"):
        page.keyboard.press(key)
    turned = page.evaluate("scene.camera")
    assert turned["yaw"] != home["yaw"]
    assert turned["pitch"] > home["pitch"]
    assert turned["distance"] < home["distance"]
    assert page.evaluate("moved") == turned
    page.keyboard.press("0")
    assert page.evaluate("scene.camera") == home
    page.mouse.move(50, 50)
    page.mouse.wheel(0, 120)
    until(page, lambda: page.evaluate("scene.camera")["distance"] > home["distance"], "the zoom of the wheel")
    page.evaluate("scene.reset()")
    fingers = page.context.new_cdp_session(page)
    fingers.send("Emulation.setTouchEmulationEnabled", {"enabled": True, "maxTouchPoints": 2})
    for kind, places in (("Start", (60, 80)), ("Move", (50, 90)), ("Move", (40, 100)), ("End", ())):
        points = [{"x": x, "y": 60, "id": n} for n, x in enumerate(places)]
        fingers.send("Input.dispatchTouchEvent", {"type": f"touch{kind}", "touchPoints": points})
    until(page, lambda: page.evaluate("scene.camera")["distance"] < 0.6 * home["distance"], "the pinch")
    page.evaluate("scene.camera = { yaw: 1, pitch: 0.5, distance: 2, target: [0.1, 0, 0] }")
    assert page.evaluate("scene.camera") == {"yaw": 1, "pitch": 0.5, "distance": 2, "target": [0.1, 0, 0]}


@pytest.mark.parametrize("page", [("THREE.WebGLRenderer",)], indirect=True)
def test_without_webgl_2_one_sentence_says_so(driver: Driver) -> None:
    said = driver.page.evaluate(
        """() => {
          HTMLCanvasElement.prototype.getContext = () => null;
          try { open_scene(); } catch (error) { return `${error.name}: ${error.message}`; }
        }"""
    )
    assert said.startswith("WebGLMissing: The volume needs WebGL 2, which this browser does not offer: ")
