import { describe, expect, it } from "vitest";
import { bestTier, search, tierOf } from "../src/lib/search";

describe("tierOf", () => {
  it("never takes hot dog or dogfish for dog", () => {
    expect(tierOf("dog", "dog")).toBe("exact");
    expect(tierOf("Hot dog", "dog")).toBe("word");
    expect(tierOf("dogfish", "dog")).toBe("part");
    expect(tierOf("cat", "dog")).toBeNull();
  });

  it("takes an underscore for a letter", () => {
    expect(tierOf("hot_dog", "dog")).toBe("part");
    expect(tierOf("hot_dog", "hot_dog")).toBe("exact");
    expect(tierOf("a hot_dog", "hot_dog")).toBe("word");
  });

  it("reads a comma-separated synset as several names", () => {
    expect(tierOf("hotdog, hot dog, red hot", "hot dog")).toBe("exact");
  });

  it("folds case and accents", () => {
    expect(tierOf("Crème Brûlée", "creme brulee")).toBe("exact");
  });

  it("takes the query as text, not as a pattern", () => {
    expect(tierOf("a+b", "a+b")).toBe("exact");
    expect(tierOf("aab", "a+b")).toBeNull();
    expect(tierOf("anything", ".*")).toBeNull();
  });

  it("finds nothing for an empty query", () => {
    expect(tierOf("dog", "  ")).toBeNull();
  });
});

describe("search", () => {
  const labels = ["dog", "hot dog", "dogfish", "cat"];

  it("puts every item into its best tier once", () => {
    const found = search(labels.length, (i) => [labels[i], `${labels[i]}.jpg`], "dog");
    expect(found).toEqual({ exact: [0], word: [1], part: [2] });
    expect(bestTier(found)).toBe("exact");
  });

  it("falls back to the best tier there is", () => {
    expect(bestTier(search(labels.length, (i) => [labels[i]], "hot"))).toBe("word");
    expect(bestTier(search(labels.length, (i) => [labels[i]], "zebra"))).toBeNull();
  });
});
