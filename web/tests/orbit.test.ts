import { describe, expect, it, vi } from "vitest";
import { Orbit } from "../src/gl/orbit";

const [WIDTH, HEIGHT] = [400, 200];

/** An element of 400 × 200 pixels, and an orbit that looks at a flat scene in it. */
function flat(): { el: HTMLElement; orbit: Orbit } {
  const el = Object.assign(new EventTarget(), {
    clientWidth: WIDTH,
    clientHeight: HEIGHT,
    getBoundingClientRect: () => ({ left: 10, top: 20, width: WIDTH, height: HEIGHT }),
  }) as unknown as HTMLElement;
  vi.stubGlobal("cancelAnimationFrame", () => undefined);
  const orbit = new Orbit(el, () => undefined, { distance: 2, yaw: 0, pitch: 0 });
  orbit.flat = true;
  orbit.resize(WIDTH, HEIGHT);
  return { el, orbit };
}

/** Where in the plane of the points a pixel of the page is. */
function under(orbit: Orbit, x: number, y: number): [number, number] {
  const { target, distance } = orbit.stand;
  const scale = (2 * distance * Math.tan((orbit.camera.fov * Math.PI) / 360)) / HEIGHT;
  return [target[0] + (x - 10 - WIDTH / 2) * scale, target[1] - (y - 20 - HEIGHT / 2) * scale];
}

describe("the camera of a flat scene", () => {
  it.each([-120, 40])("keeps what is under the pointer where it is when the wheel turns by %s", (deltaY) => {
    const { el, orbit } = flat();
    const before = under(orbit, 70, 50);
    const { distance } = orbit.stand;
    el.dispatchEvent(Object.assign(new Event("wheel"), { deltaY, clientX: 70, clientY: 50 }));
    expect(orbit.stand.distance < distance).toBe(deltaY < 0);
    const after = under(orbit, 70, 50);
    expect(after[0]).toBeCloseTo(before[0], 6);
    expect(after[1]).toBeCloseTo(before[1], 6);
  });
});
