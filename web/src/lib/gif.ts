// GIF films with one palette for all frames: the same colour is the same entry in each, so nothing flickers.
import { type Encoder, GIFEncoder, type Palette, quantize } from "gifenc";

const COLOURS = 256;
/** Pixels a frame gives to the choice of the palette. */
const SAMPLED = 24_000;

/** At most 256 colours for pixels of all frames, and the entry for each colour, the same one whenever it is asked for. */
export class SharedPalette {
  readonly #sample: number[] = [];
  readonly #exact = new Set<number>();
  /** Entry + 1 of every colour that was asked for. */
  readonly #known = new Uint16Array(1 << 24);
  #colours: Palette = [];

  get colours(): Palette {
    return this.#colours;
  }

  /** Learn from the pixels of a frame, RGBA. */
  learn(pixels: Uint8ClampedArray): void {
    const count = pixels.length / 4;
    // A stride that shares no factor with the width would be ideal; an odd one is good enough.
    const stride = Math.max(1, Math.floor(count / SAMPLED)) | 1;
    for (let i = 0; i < count; i++) {
      const colour = colourAt(pixels, i);
      if (this.#exact.size <= COLOURS) this.#exact.add(colour);
      if (i % stride === 0) this.#sample.push(colour);
    }
  }

  /** Choose the colours: those that there are where they are few enough. */
  settle(): void {
    if (this.#exact.size <= COLOURS) {
      this.#colours = [...this.#exact].map((colour) => [colour & 255, (colour >> 8) & 255, colour >> 16]);
      return;
    }
    const rgba = Uint32Array.from(this.#sample, (colour) => (colour | 0xff000000) >>> 0);
    this.#colours = quantize(new Uint8Array(rgba.buffer), COLOURS).map((one) => one.slice(0, 3));
  }

  /** The entry of each pixel. */
  apply(pixels: Uint8ClampedArray): Uint8Array {
    const index = new Uint8Array(pixels.length / 4);
    for (let i = 0; i < index.length; i++) {
      const colour = colourAt(pixels, i);
      if (!this.#known[colour]) this.#known[colour] = 1 + this.#nearest(colour);
      index[i] = this.#known[colour] - 1;
    }
    return index;
  }

  #nearest(colour: number): number {
    const [r, g, b] = [colour & 255, (colour >> 8) & 255, colour >> 16];
    let [best, least] = [0, Number.POSITIVE_INFINITY];
    this.#colours.forEach(([red, green, blue], i) => {
      const distance = (red - r) ** 2 + (green - g) ** 2 + (blue - b) ** 2;
      if (distance < least) [best, least] = [i, distance];
    });
    return best;
  }
}

const colourAt = (pixels: Uint8ClampedArray, i: number): number =>
  pixels[4 * i] | (pixels[4 * i + 1] << 8) | (pixels[4 * i + 2] << 16);

/** How long each frame is shown, in hundredths of a second: what is rounded off one is made up for by the next. */
export function hundredths(count: number, perSecond: number): number[] {
  const at = (k: number): number => Math.round((100 * k) / perSecond);
  return Array.from({ length: count }, (_, k) => Math.max(1, at(k + 1) - at(k)));
}

export class Gif {
  readonly #encoder: Encoder = GIFEncoder();
  #first = true;

  /** `palette` is settled. */
  constructor(
    private readonly palette: SharedPalette,
    private readonly width: number,
    private readonly height: number,
  ) {}

  /** Add a frame, shown for so many hundredths of a second. */
  add(pixels: Uint8ClampedArray, delay: number): void {
    this.#encoder.writeFrame(this.palette.apply(pixels), this.width, this.height, {
      // Only the first frame brings colours: they are those of the whole file.
      ...(this.#first ? { palette: this.palette.colours, repeat: 0 } : {}),
      delay: 10 * delay,
    });
    this.#first = false;
  }

  finish(): Blob {
    if (this.#first) throw new Error("a film needs at least one frame");
    this.#encoder.finish();
    return new Blob([this.#encoder.bytes() as Uint8Array<ArrayBuffer>], { type: "image/gif" });
  }
}
