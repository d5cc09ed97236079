import { Vector3 } from "three";
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

  it("says where a flight leads, and comes to stand exactly there", () => {
    const { orbit } = flat();
    const frames: ((now: number) => void)[] = [];
    vi.stubGlobal("matchMedia", () => ({ matches: false }));
    vi.stubGlobal("requestAnimationFrame", (step: (now: number) => void) => frames.push(step));
    orbit.stand = { yaw: 0, pitch: 0, distance: 0.3, target: [0.1, 0.7, 0] };
    const stand = orbit.fly(new Vector3(0.3, -0.2, 0), 1.1);
    expect(stand).toBe("1.1_0.3_-0.2");
    frames.shift()?.(performance.now() + 1);
    expect(orbit.view()).not.toBe(stand); // on its way
    frames.shift()?.(performance.now() + 60_000);
    expect(frames).toHaveLength(0);
    expect(orbit.stand).toEqual({ yaw: 0, pitch: 0, distance: 1.1, target: [0.3, -0.2, 0] });
    orbit.reset();
    frames.shift()?.(performance.now() + 60_000);
    expect(orbit.atHome).toBe(true);
    vi.unstubAllGlobals();
  });
});
