import { describe, expect, it } from "vitest";
import type { EmbeddingData } from "../src/lib/points";
import { holdLarge, largeSelection } from "../src/lib/pointsets";
import { Selection } from "../src/lib/selection";
import { PointCamera } from "../src/views/panels/pointcamera";
import type { PointMap } from "../src/views/panels/pointmap";

/** A map that only notes where it is to look, and what the address is told. */
function watched(): { map: { placed: boolean; view: string }; seen: unknown[]; camera: PointCamera } {
  const seen: unknown[] = [];
  const map = {
    placed: true,
    set view(text: string) {
      seen.push(text);
    },
    focus: (points: ArrayLike<number>, led: boolean) => seen.push([...Array.from(points), led]),
  };
  const camera = new PointCamera(map as unknown as PointMap, (change) => seen.push(change));
  return { map, seen, camera };
}

describe("where the map looks", () => {
  it("follows the address where that changes, and leaves one who has moved alone", () => {
    const { map, seen, camera } = watched();
    map.placed = false;
    expect(camera.settle("1_0_0", () => [])).toBe(false);
    expect(seen).toEqual([]); // nothing to look at yet
    map.placed = true;
    expect(camera.settle("1_0_0", () => [])).toBe(true);
    expect(camera.settle("1_0_0", () => [])).toBe(false);
    expect(seen.splice(0)).toEqual(["1_0_0"]);
    camera.moved("2_0_0");
    camera.settle("2_0_0", () => []);
    expect(seen.splice(0)).toEqual([{ cam: "2_0_0" }]);
    camera.settle("", () => [4, 5]);
    camera.settle("", () => [4, 5]);
    expect(seen.splice(0)).toEqual([[4, 5, true]]);
  });

  it("looks at what is searched, and the address forgets the camera", () => {
    const { seen, camera } = watched();
    camera.settle("1_0_0", () => []);
    camera.lead([7]);
    expect(seen).toEqual(["1_0_0", [7, true], { cam: null }]);
  });

  it("keeps the view from one step to the next", () => {
    const { seen, camera } = watched();
    camera.close("3_1_1");
    camera.settle("", () => [4]);
    expect(seen).toEqual(["3_1_1"]);
  });
});

describe("a selection that is too large for the address", () => {
  const step = (index: number[]): EmbeddingData =>
    ({ run: "run", record: { tag: "fc" }, index }) as unknown as EmbeddingData;
  const all = Array.from({ length: 80 }, (_, i) => i);

  it("is there again at another step, and gone once it is cleared", () => {
    const selection = new Selection(80);
    selection.change(all.slice(0, 60));
    holdLarge(step(all), selection);
    const back = step([...all].reverse());
    expect([...largeSelection(back)]).toEqual(all.slice(20));
    expect(largeSelection({ ...back, run: "other" })).toHaveLength(0);
    selection.clear();
    holdLarge(step(all), selection);
    expect(largeSelection(back)).toHaveLength(0);
  });
});
