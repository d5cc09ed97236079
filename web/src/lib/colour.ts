// Colour maps as 256-entry tables. Sequential for magnitudes, diverging with a neutral zero for signed data.

export type ColourMap = "viridis" | "magma" | "inferno" | "grey";

/** Evenly spaced stops, from the definitions published with matplotlib (CC0). */
const STOPS: Readonly<Record<ColourMap | "diverging", readonly string[]>> = {
  viridis: [
    "440154",
    "482475",
    "414487",
    "355f8d",
    "2a788e",
    "21918c",
    "22a884",
    "44bf70",
    "7ad151",
    "bddf26",
    "fde725",
  ],
  magma: [
    "000004",
    "140e36",
    "3b0f70",
    "641a80",
    "8c2981",
    "b73779",
    "de4968",
    "f7705c",
    "fe9f6d",
    "fecf92",
    "fcfdbf",
  ],
  inferno: [
    "000004",
    "160b39",
    "420a68",
    "6a176e",
    "932667",
    "bc3754",
    "dd513a",
    "f37819",
    "fca50a",
    "f6d746",
    "fcffa4",
  ],
  grey: ["000000", "ffffff"],
  diverging: ["12316e", "1f5aa6", "4d8cc8", "93b8d8", "d6d4d0", "e3ab8c", "d6744f", "b23a2a", "741418"],
};

export const COLOUR_MAPS: readonly ColourMap[] = ["viridis", "magma", "inferno", "grey"];

const tables = new Map<string, Uint8Array>();

/** The 256 × 3 table of a map; index 0 is the smallest value, 128 the zero of the diverging map. */
export function table(name: ColourMap | "diverging"): Uint8Array {
  let found = tables.get(name);
  if (!found) {
    found = build(STOPS[name].map(rgb));
    tables.set(name, found);
  }
  return found;
}

function build(stops: readonly (readonly [number, number, number])[]): Uint8Array {
  const out = new Uint8Array(256 * 3);
  for (let i = 0; i < 256; i++) {
    const place = (i / 255) * (stops.length - 1);
    const left = Math.min(Math.floor(place), stops.length - 2);
    for (let c = 0; c < 3; c++) {
      out[3 * i + c] = Math.round(stops[left][c] + (place - left) * (stops[left + 1][c] - stops[left][c]));
    }
  }
  return out;
}

/** "ff8000" or "#ff8000" → [255, 128, 0]. */
export function rgb(hex: string): [number, number, number] {
  const value = Number.parseInt(hex.replace("#", ""), 16);
  return [value >> 16, (value >> 8) & 255, value & 255];
}

/** CSS gradient of a map, left to right. */
export function gradient(name: ColourMap | "diverging"): string {
  return `linear-gradient(90deg, ${STOPS[name].map((stop) => `#${stop}`).join(", ")})`;
}

/** Index in a table of 256 for a signed value; zero is exactly the middle. */
export function signedIndex(value: number, scale: number): number {
  if (!(scale > 0) || Number.isNaN(value)) return 128;
  return clampByte(128 + (127 * value) / scale);
}

/** Index in a table of 256 for a value between `low` and `high`. */
export function rangeIndex(value: number, low: number, high: number): number {
  if (!(high > low) || Number.isNaN(value)) return 0;
  return clampByte((255 * (value - low)) / (high - low));
}

function clampByte(value: number): number {
  return value <= 0 ? 0 : value >= 255 ? 255 : Math.round(value);
}
