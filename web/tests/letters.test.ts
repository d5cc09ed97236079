import { afterEach, beforeEach, expect, it, vi } from "vitest";

beforeEach(() => {
  vi.resetModules();
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

/** Whether it has resolved by now. */
async function come(promise: Promise<unknown>): Promise<boolean> {
  const pending = Symbol("pending");
  await vi.advanceTimersByTimeAsync(0);
  return (await Promise.race([promise, Promise.resolve(pending)])) !== pending;
}

it("waits for every font, and asks once", async () => {
  const { letters } = await import("../src/lib/letters");
  const given: (() => void)[] = [];
  const load = vi.fn(() => new Promise<FontFace[]>((go) => given.push(() => go([]))));
  const waiting = letters({ load });
  expect(letters({ load })).toBe(waiting);
  expect(load.mock.calls).toEqual([['1em "Inter Variable"'], ['1em "JetBrains Mono Variable"']]);
  given[0]?.();
  expect(await come(waiting)).toBe(false);
  given[1]?.();
  expect(await come(waiting)).toBe(true);
});

it("goes on without a font that cannot be had", async () => {
  const { letters } = await import("../src/lib/letters");
  expect(await come(letters({ load: () => Promise.reject(new Error("gone")) }))).toBe(true);
});

it("goes on without a font that does not come", async () => {
  const { letters } = await import("../src/lib/letters");
  const waiting = letters({ load: () => new Promise(() => {}) });
  await vi.advanceTimersByTimeAsync(999);
  expect(await come(waiting)).toBe(false);
  await vi.advanceTimersByTimeAsync(1);
  expect(await come(waiting)).toBe(true);
});
