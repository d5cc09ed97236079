"""The map of an embedding in a real Chromium, paired with three.js's own points on the same data.

Both show the same points in the same colours, from the same eye with the same field of view, on a canvas of 900 × 600
pixels, from page scripts that are loaded before anything is measured. The sides take turns; ratios are medians of the
pairs' own ratios. A frame has ended when a pixel of it was read back.

* *first*: a million points and their colours are in memory, a page is fresh: until the first picture; wall-clock time,
  and CPU of all processes of the browser. Ours once as dots (of the same diameter as those of ``PointsMaterial``), and
  once as it opens (density).
* *acts*: a click, a lasso of 60 corners and a box among a million points, wall-clock time in the page.
* *moves*: a frame while a million points move, and while 100,000 with thumbnails are panned.

esbuild and three.js come from ``web/node_modules`` (``npm ci``).

    python benchmarks/embedding_page.py [--cases first,acts,moves] [--pairs 5]
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import http.server
import statistics
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from playwright.sync_api import sync_playwright

from browsing import Visit, Visitor
from volume import Quiet, compare, paired, save_picture

WEB = Path(__file__).resolve().parent.parent / "web"
MILLION = 1_000_000
SIDE, COLUMNS, ROWS = 48, 48, 40
PAGE = """<!doctype html><meta charset="utf-8"><style>
  body { margin: 0 } #host { position: relative; width: 900px; height: 600px }
  #host canvas { position: absolute; inset: 0 }
</style><div id="host" tabindex="0"></div><script src="%s.js"></script><script>
const host = document.getElementById("host");
const fetched = async (name, type) => new type(await (await fetch(name)).arrayBuffer());
const wait = () => {
  const gl = host.querySelector("canvas").getContext("webgl2");
  gl.readPixels(450, 300, 1, 1, gl.RGBA, gl.UNSIGNED_BYTE, new Uint8Array(4));
};
const frame = () => new Promise(requestAnimationFrame);
window.load = async () => {
  window.at = await fetched("positions.bin", Float32Array);
  window.rgb = await fetched("colours.bin", Uint8Array);
};
%s</script>"""
OURS = """
window.begin = async (detail) => {
  const drawn = new Promise((done) => { window.drawn = done; });
  window.scene = new PointsScene(host, at.length / 3, "points", () => drawn_once());
  window.drawn_once = () => window.drawn();
  scene.positions.set(at);
  scene.setFlat(true, scene.positions);
  scene.orbit.setView("3.1_0_0");
  scene.setDetail(detail);
  scene.setColours(rgb, "rgb(255 255 255)", "rgb(0 0 0)");
  scene.moved();
  await drawn;
  wait();
};
window.move = async (x) => {
  scene.orbit.setView(x);
  await frame();
  wait();
};
"""
THEIRS = """
window.begin = async () => {
  const renderer = new THREE.WebGLRenderer();
  renderer.setClearColor(0xffffff);
  renderer.setSize(900, 600);
  host.append(renderer.domElement);
  const camera = new THREE.PerspectiveCamera(40, 1.5, 0.01, 60);
  camera.position.set(0, 0, 3.1);
  const geometry = new THREE.BufferGeometry();
  geometry.setAttribute("position", new THREE.BufferAttribute(at, 3));
  geometry.setAttribute("color", new THREE.BufferAttribute(rgb, 3, true));
  const material = new THREE.PointsMaterial({ size: 1.25, sizeAttenuation: false, vertexColors: true });
  const scene = new THREE.Scene();
  scene.add(new THREE.Points(geometry, material));
  await frame();
  renderer.render(scene, camera);
  wait();
};
"""


def write_points(folder: Path, count: int) -> None:
    """Clusters in a plane with a colour each, as the page fetches them."""
    rng = np.random.default_rng(0)
    label = rng.integers(20, size=count)
    at = np.zeros((count, 3), np.float32)
    at[:, :2] = rng.normal(0, 0.45, (20, 2))[label] + rng.normal(0, 0.12, (count, 2))
    (folder / "positions.bin").write_bytes(at.tobytes())
    (folder / "colours.bin").write_bytes(rng.integers(0, 220, (20, 3), dtype=np.uint8)[label].tobytes())


def write_sheets(folder: Path, count: int) -> list[str]:
    """Sheets of thumbnails with a two-pixel gutter between tiles."""
    rng = np.random.default_rng(0)
    step = SIDE + 2
    files = []
    for k in range(-(-count // (ROWS * COLUMNS))):
        small = rng.integers(0, 255, (ROWS * 4, COLUMNS * 4, 3), dtype=np.uint8)
        name = f"{k:03d}.webp"
        Image.fromarray(small).resize((COLUMNS * step, ROWS * step)).save(folder / name, quality=80)
        files.append(name)
    return files


@contextlib.contextmanager
def pages(folder: Path) -> Iterator[str]:
    """Serve a page for each side."""
    bundler = [WEB / "node_modules" / ".bin" / "esbuild", "--bundle", "--minify", "--log-level=warning"]
    (folder / "three.ts").write_text(
        f'import * as THREE from "{WEB}/node_modules/three";\nObject.assign(window, {{ THREE }});\n'
    )
    sources = {"ours": (WEB / "tests" / "pointspage.ts", OURS), "theirs": (folder / "three.ts", THEIRS)}
    for name, (source, script) in sources.items():
        subprocess.run([*bundler, source, f"--outfile={folder / name}.js"], check=True)
        (folder / f"{name}.html").write_text(PAGE % (name, script))
    handler = functools.partial(Quiet, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}/"
        server.shutdown()


def begin(one: Visit, url: str, name: str, detail: str) -> list[float]:
    """Show the points in a fresh page; return wall-clock time and the browser's CPU in ms."""
    one.page.goto(f"{url}{name}.html")
    one.page.evaluate("load()")
    one.page.wait_for_timeout(300)
    before = one.cpu()
    script = "async (how) => { const t = performance.now(); await begin(how); return performance.now() - t; }"
    took = float(one.page.evaluate(script, detail))
    one.page.wait_for_timeout(300)
    return [took, (one.cpu() - before) * 1e3]


def case_first(browser: Visitor, options: argparse.Namespace, folder: Path) -> None:
    """Measure the first picture of a million points."""
    write_points(folder, MILLION)

    def measure(url: str, name: str, detail: str) -> list[float]:
        with browser.visit() as one:
            took = begin(one, url, name, detail)
            save_picture(one, options.pictures, f"first-{name}-{detail}")
            return took

    with pages(folder) as url:
        for detail in ("dots", "auto"):
            sides = [lambda n=n, d=detail: measure(url, n, d) for n in ("ours", "theirs")]
            found = paired(options.pairs, sides)
            compare(f"1,000,000 points, {detail}: first picture", found, 0, "≤ 1.2")
            compare("the same, CPU of the browser", found, 1, "≤ 1.2")


def timed(one: Visit, script: str, rounds: int) -> list[float]:
    """Milliseconds of each round of a script; once for nothing before."""
    loop = f"""async (rounds) => {{
      const found = [];
      for (let k = 0; k <= rounds; k++) {{
        const began = performance.now();
        {script};
        found.push(performance.now() - began);
      }}
      return found.slice(1);
    }}"""
    return [float(value) for value in one.page.evaluate(loop, rounds)]


def say(what: str, values: list[float], target: str) -> None:
    """Write a row without a peer: median, and the longest."""
    print(f"| {what} | {statistics.median(values):,.0f} ms | longest {max(values):,.0f} ms | | {target} |", flush=True)


def case_acts(browser: Visitor, options: argparse.Namespace, folder: Path) -> None:
    """Measure what a click, a lasso and a box among a million points cost."""
    write_points(folder, MILLION)
    rounds = 4 * options.pairs
    with pages(folder) as url, browser.visit() as one:
        begin(one, url, "ours", "auto")
        one.page.evaluate(
            """() => { window.corners = Array.from({ length: 60 }, (_, k) => {
              const [turn, r] = [(2 * Math.PI * k) / 60, 150 + 80 * (k % 2)];
              return [450 + r * Math.cos(turn), 300 + r * Math.sin(turn)];
            }).flat(); }"""
        )
        say("1,000,000 points: pick", timed(one, "scene.pick(400 + 5 * k, 300)", rounds), "< 50")
        say("lasso of 60 corners", timed(one, "scene.inPolygon(corners)", rounds), "< 300")
        say("box", timed(one, "scene.inBox(200, 100, 600, 500)", rounds), "< 300")


def case_moves(browser: Visitor, options: argparse.Namespace, folder: Path) -> None:
    """Measure frames while the view moves."""
    rounds = 4 * options.pairs
    write_points(folder, MILLION)
    with pages(folder) as url, browser.visit() as one:
        for detail in ("dots", "auto"):
            begin(one, url, "ours", detail)
            one.page.wait_for_timeout(2000)
            found = timed(one, "await move(`${3 + 0.01 * k}_0_0`)", rounds)
            say(f"1,000,000 points, {detail}: a frame in movement", found, "")
    count = 100_000
    write_points(folder, count)
    sheet: dict[str, Any] = {"tile": [SIDE, SIDE], "gutter": 1, "columns": COLUMNS, "rows": ROWS, "channels": 3}
    sheet |= {"codec": "webp", "total_rows": -(-count // COLUMNS), "files": write_sheets(folder, count)}
    with pages(folder) as url, browser.visit() as one:
        begin(one, url, "ours", "auto")
        one.page.evaluate(
            """(sheet) => {
              window.pictures = new PictureCache();
              scene.setThumbnails({ sheet, url: (file) => file, pictures });
              scene.orbit.setView("0.45_0_0");
            }""",
            sheet,
        )
        one.page.wait_for_timeout(8000)
        save_picture(one, options.pictures, "moves-thumbnails")
        found = timed(one, "await move(`0.45_${0.005 * k}_0`)", rounds)
        say("100,000 thumbnails: a frame while panned", found, "")


CASES = {name.removeprefix("case_"): found for name, found in list(globals().items()) if name.startswith("case_")}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", default=",".join(CASES))
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--pictures", type=Path, help="folder for a picture of each side, to look at")
    options = parser.parse_args()
    print("| what | ours | three.js | ratio | target |\n|---|---|---|---|---|", flush=True)
    for name in options.cases.split(","):
        with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
            browser = Visitor(playwright)
            CASES[name](browser, options, Path(folder))
            browser.close()


if __name__ == "__main__":
    main()
