"""The scene of the volume in a real Chromium, paired with vtk.js on the same voxels.

Both draw the same box (edges in proportion to the voxels), from the same eye with the same field of view, on a canvas
of 640 × 480 pixels, with trilinear samples at the same distances, the same colours and opacities, without gradients or
light, from page scripts that are loaded before anything is measured. The sides take turns; ratios are medians of the
pairs' own ratios. A frame has ended when a pixel of it was read back.

* *first*: a stack of 96 × 55 × 55 float32 maps is in memory, a page is fresh: until the first fine frame, with the
  making of bytes and of everything the renderer needs; wall-clock time, and CPU of all processes of the browser.
* *frame*: 512 × 256 × 256 bytes; the camera turns a little, a frame is drawn with all its samples. Once with a stack of
  ReLU maps, of which most is zero, and once with voxels of which none is (nothing can be passed over).
* *wire*: bytes of what the server sends of a recorded volume of AlexNet's size, as the page asks, against float32.

vtk.js comes from the npm registry, and esbuild from ``web/node_modules`` (``npm ci``).

    python benchmarks/volume.py [--cases first,frame,wire] [--pairs 5]
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import http.server
import json
import statistics
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.request import Request

import numpy as np
import numpy.typing as npt
from playwright.sync_api import sync_playwright

import convscope as cs
from browsing import NET, Serving, Visit, Visitor, serving

VTK = "37.3.1"
WEB = Path(__file__).resolve().parent.parent / "web"
WIDTH, HEIGHT = 640, 480
RATE = 1.5
"""Samples an edge of a voxel."""
PAGE = f"""<!doctype html><meta charset="utf-8"><style>
  body {{ margin: 0 }} #host {{ position: relative; width: {WIDTH}px; height: {HEIGHT}px; background: #000 }}
  #host canvas {{ position: absolute; inset: 0 }}
</style><div id="host"></div><script src="%s.js"></script><script>
const host = document.getElementById("host");
const box = (shape) => Math.max(...shape) / 1.15;
const wait = (gl) => gl.readPixels(320, 240, 1, 1, gl.RGBA, gl.UNSIGNED_BYTE, new Uint8Array(4));
const bytes = (values) => {{
  if (values instanceof Uint8Array) return values;
  let most = 0;
  for (const value of values) if (value > most) most = value;
  const found = new Uint8Array(values.length);
  for (let i = 0; i < values.length; i++) found[i] = Math.max(0, values[i]) * (255 / most) + 0.5;
  return found;
}};
const fetched = async (name, type) => new type(await (await fetch(name)).arrayBuffer());
const turn = (n) => 0.62 + 0.07 * n;
</script><script src="drive-%s.js"></script>"""
OURS = """
let scene;
window.begin = (values, [channels, height, width]) => {
  scene = new VolumeScene(host, "volume");
  scene.camera = { yaw: turn(0), pitch: 0.36, distance: 2.75, target: [0, 0, 0] };
  const transfer = new Uint8Array(1024);
  for (let i = 0; i < 256; i++) transfer.set([i, 128, 255 - i, OPACITY * 255 * Math.max(0, i - 25) / 230], 4 * i);
  scene.setLook({ mode: "composite", transfer, rate: RATE, axes: false });
  scene.setVoxels({ data: bytes(values), channels, height, width, spacing: [1, 1, 1] });
  scene.render();
  wait(scene.canvas.getContext("webgl2"));
};
window.frame = (n) => {
  scene.camera = { yaw: turn(n), pitch: 0.36, distance: 2.75, target: [0, 0, 0] };
  scene.render();
  wait(scene.canvas.getContext("webgl2"));
};
"""
THEIRS = """
let view, camera, scale;
const look = (n) => {
  const [yaw, pitch, distance] = [turn(n), 0.36, 2.75 * scale];
  camera.setPosition(
    distance * Math.sin(yaw) * Math.cos(pitch), distance * Math.sin(pitch), distance * Math.cos(yaw) * Math.cos(pitch));
  camera.setFocalPoint(0, 0, 0);
  camera.setViewUp(0, 1, 0);
  camera.setViewAngle(40);
  camera.setClippingRange(0.1 * scale, 10 * scale);
};
window.begin = (values, [channels, height, width]) => {
  scale = box([channels, height, width]);
  view = vtk.Rendering.Misc.vtkGenericRenderWindow.newInstance({ background: [0, 0, 0] });
  view.setContainer(host);
  view.resize();
  const image = vtk.Common.DataModel.vtkImageData.newInstance({
    spacing: [1, 1, 1], origin: [-(width - 1) / 2, -(height - 1) / 2, -(channels - 1) / 2] });
  image.setDimensions(width, height, channels);
  const scalars = vtk.Common.Core.vtkDataArray.newInstance({ name: "maps", values, numberOfComponents: 1 });
  image.getPointData().setScalars(scalars);
  const most = values instanceof Uint8Array ? 255 : scalars.getRange()[1];
  const mapper = vtk.Rendering.Core.vtkVolumeMapper.newInstance();
  mapper.setInputData(image);
  mapper.setSampleDistance(1 / RATE);
  mapper.setAutoAdjustSampleDistances(false);
  mapper.setMaximumSamplesPerRay(4096);
  const volume = vtk.Rendering.Core.vtkVolume.newInstance();
  volume.setMapper(mapper);
  const colours = vtk.Rendering.Core.vtkColorTransferFunction.newInstance();
  colours.addRGBPoint(0, 0, 0.5, 1);
  colours.addRGBPoint(most, 1, 0.5, 0);
  const opacity = vtk.Common.DataModel.vtkPiecewiseFunction.newInstance();
  opacity.addPoint(0, 0);
  opacity.addPoint((25 / 255) * most, 0);
  opacity.addPoint(most, OPACITY);
  volume.getProperty().setRGBTransferFunction(0, colours);
  volume.getProperty().setScalarOpacity(0, opacity);
  // The opacity of a transfer function is that of 1/128 of the longest edge.
  volume.getProperty().setScalarOpacityUnitDistance(0, Math.max(channels, height, width) / 128);
  volume.getProperty().setInterpolationTypeToLinear();
  view.getRenderer().addVolume(volume);
  camera = view.getRenderer().getActiveCamera();
  look(0);
  draw();
};
const draw = () => {
  view.getRenderWindow().render();
  wait(host.querySelector("canvas").getContext("webgl2"));
};
window.frame = (n) => { look(n); draw(); };
"""


def relu_maps(shape: tuple[int, int, int], sparse: float = 0.4) -> npt.NDArray[np.float32]:
    """Smooth maps of which a ReLU leaves little: about as many zeros as in AlexNet's first layers."""
    rng = np.random.default_rng(0)
    maps = rng.normal(size=[side // 4 + 2 for side in shape]).astype(np.float32)
    for axis, side in enumerate(shape):
        at = np.linspace(0, maps.shape[axis] - 1.001, side)
        low, share = np.floor(at).astype(int), (at % 1).astype(np.float32)
        share = share.reshape([-1 if axis == one else 1 for one in range(3)])
        maps = maps.take(low, axis) * (1 - share) + maps.take(low + 1, axis) * share
    return np.maximum(maps - sparse * maps.std(), 0).astype(np.float32)


def dense(shape: tuple[int, int, int]) -> npt.NDArray[np.uint8]:
    """Voxels of which none is transparent."""
    return np.asarray(40 + 60 * relu_maps(shape, -0.5) / relu_maps(shape, -0.5).max(), np.uint8)


class Quiet(http.server.SimpleHTTPRequestHandler):
    """Serves files and says nothing."""

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@contextlib.contextmanager
def pages(folder: Path, opacity: float) -> Iterator[str]:
    """Serve a page for each side."""
    subprocess.run(["npm", "pack", "--silent", f"vtk.js@{VTK}"], cwd=folder, check=True, stdout=subprocess.DEVNULL)
    subprocess.run(["tar", "xzf", next(folder.glob("*.tgz")), "package/vtk.js"], cwd=folder, check=True)
    (folder / "package" / "vtk.js").rename(folder / "theirs.js")
    bundler = [WEB / "node_modules" / ".bin" / "esbuild", WEB / "tests" / "volumepage.ts", "--bundle", "--minify"]
    subprocess.run([*bundler, f"--outfile={folder / 'ours.js'}", "--log-level=warning"], check=True)
    for name, text in (("ours", OURS), ("theirs", THEIRS)):
        (folder / f"{name}.html").write_text(PAGE % (name, name))
        (folder / f"drive-{name}.js").write_text(text.replace("RATE", str(RATE)).replace("OPACITY", str(opacity)))
    handler = functools.partial(Quiet, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}/"
        server.shutdown()


def paired(pairs: int, sides: list[Callable[[], list[float]]]) -> list[list[list[float]]]:
    """Measure the sides in turn, the order changing; once for nothing before."""
    found: list[list[list[float]]] = [[] for _ in sides]
    for side in sides:
        side()
    for pair in range(pairs):
        for place in sorted(range(len(sides)), reverse=pair % 2 == 1):
            found[place].append(sides[place]())
    return found


def compare(what: str, found: list[list[list[float]]], place: int, target: str) -> None:
    mine, other = ([one[place] for one in side] for side in found)
    ratio = statistics.median(a / b for a, b in zip(mine, other, strict=True))
    cells = " | ".join(f"{statistics.median(side):,.0f} ms" for side in (mine, other))
    print(f"| {what} | {cells} | {ratio:.2f} | {target} |", flush=True)


def begin(one: Visit, url: str, name: str, data: npt.NDArray[Any]) -> tuple[float, float]:
    """Show a volume in a fresh page; return wall-clock time and the browser's CPU in ms."""
    one.page.goto(f"{url}{name}.html")
    kind = "Uint8Array" if data.dtype == np.uint8 else "Float32Array"
    one.page.evaluate(f"async () => {{ window.values = await fetched('values.bin', {kind}); }}")
    one.page.wait_for_timeout(300)
    before = one.cpu()
    took = one.page.evaluate(
        "(shape) => { const t = performance.now(); begin(values, shape); return performance.now() - t; }",
        list(data.shape),
    )
    one.page.wait_for_timeout(300)
    return took, (one.cpu() - before) * 1e3


def save_picture(one: Visit, folder: Path | None, name: str) -> None:
    """Keep what is seen, to look at."""
    if folder:
        (folder / f"{name}.png").write_bytes(one.page.locator("#host").screenshot())


def case_first(browser: Visitor, options: argparse.Namespace, folder: Path) -> None:
    """Measure the first frame of a stack as large as AlexNet's first layer."""
    data = relu_maps((96, 55, 55))
    (folder / "values.bin").write_bytes(data.tobytes())

    def measure(url: str, name: str) -> list[float]:
        with browser.visit() as one:
            took = begin(one, url, name, data)
            one.page.evaluate("frame(0)")
            save_picture(one, options.pictures, f"first-{name}")
            return list(took)

    with pages(folder, 0.3) as url:
        found = paired(options.pairs, [lambda n=n: measure(url, n) for n in ("ours", "theirs")])
    compare("96 × 55 × 55 float32: first frame", found, 0, "≤ 1")
    compare("the same, CPU of the browser", found, 1, "≤ 1")


def case_frame(browser: Visitor, options: argparse.Namespace, folder: Path) -> None:
    """Measure frames of a large volume while it turns."""
    shape = (512, 256, 256)
    maps = relu_maps(shape)
    for what, data in (("ReLU maps", np.asarray(255 / maps.max() * maps, np.uint8)), ("no zeros", dense(shape))):
        (folder / "values.bin").write_bytes(data.tobytes())

        with pages(folder, 0.3) as url, contextlib.ExitStack() as open_pages:
            visits = {}
            for name in ("ours", "theirs"):
                visits[name] = open_pages.enter_context(browser.visit())
                begin(visits[name], url, name, data)
            count = iter(range(1, 1000))

            def measure(name: str, visits: dict[str, Visit] = visits, count: Iterator[int] = count) -> list[float]:
                one = visits[name]
                one.page.bring_to_front()
                run = "(n) => { const t = performance.now(); frame(n); return performance.now() - t; }"
                before = one.cpu()
                took = float(one.page.evaluate(run, next(count) // 2))
                return [took, (one.cpu() - before) * 1e3]

            found = paired(options.pairs, [lambda n=n: measure(n) for n in visits])
            for name, one in visits.items():
                one.page.evaluate("frame(0)")
                save_picture(one, options.pictures, f"frame-{what.replace(' ', '-')}-{name}")
        for old in folder.glob("*.tgz"):
            old.unlink()
        compare(f"512 × 256 × 256 bytes, {what}: a frame", found, 0, "≤ 0.8")
        compare("the same, CPU of the browser", found, 1, "≤ 0.8")


def case_wire(_: Visitor, __: argparse.Namespace, folder: Path) -> None:
    """Count what the page is sent of a recorded volume."""
    maps = relu_maps((96, 55, 55))
    with cs.SummaryWriter(folder / "run") as writer:
        writer.add(cs.Volume(maps, layer="conv1").to_summary())
    command = ["-c", "from convscope.cli import main; main()", "view", str(folder), "--port", "0", "--no-open"]

    def ready(server: Serving) -> bool:
        runs = json.loads(server.get("api/index"))["runs"]
        return bool(runs) and bool(runs[0]["records"])

    with serving("convscope", command, ready) as server:
        record = json.loads(server.get("api/index"))["runs"][0]["records"][0]["id"]
        path = f"{server.url}api/arrays?run=run&id={record}&names=voxels,scale,order"
        asked = Request(path, headers={"Accept-Encoding": "gzip, deflate, br"})
        with NET.open(asked, timeout=60) as answer:
            sent = len(answer.read())
    share = np.mean(maps == 0)
    what = f"96 × 55 × 55 ({share:.0%} zeros): bytes on the wire, against float32"
    print(f"| {what} | {sent:,} | {maps.nbytes:,} | {sent / maps.nbytes:.3f} | ≤ 0.2 |", flush=True)


CASES = {name.removeprefix("case_"): found for name, found in list(globals().items()) if name.startswith("case_")}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", default=",".join(CASES))
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--pictures", type=Path, help="folder for a picture of each side, to look at")
    options = parser.parse_args()
    print("| what | ours | vtk.js | ratio | target |\n|---|---|---|---|---|", flush=True)
    for name in options.cases.split(","):
        with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
            browser = Visitor(playwright)
            CASES[name](browser, options, Path(folder))
            browser.close()


if __name__ == "__main__":
    main()
