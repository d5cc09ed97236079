// The wave form of a sound: how loud it is from beginning to end, drawn and in numbers.
import { sizeCanvas } from "../../lib/dom";

/** Least and greatest sample in each of `columns` equal parts, as pairs. */
export function peaksOf(samples: Float32Array, columns: number): Float32Array {
  const peaks = new Float32Array(2 * columns);
  for (let column = 0; column < columns; column++) {
    const start = Math.floor((column * samples.length) / columns);
    const stop = Math.max(start + 1, Math.floor(((column + 1) * samples.length) / columns));
    let [low, high] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
    for (let i = start; i < stop && i < samples.length; i++) {
      if (samples[i] < low) low = samples[i];
      if (samples[i] > high) high = samples[i];
    }
    peaks[2 * column] = Number.isFinite(low) ? low : 0;
    peaks[2 * column + 1] = Number.isFinite(high) ? high : 0;
  }
  return peaks;
}

/** Root mean square: how loud it is on the whole. */
export function rms(samples: Float32Array): number {
  let sum = 0;
  for (const sample of samples) sum += sample * sample;
  return samples.length ? Math.sqrt(sum / samples.length) : 0;
}

export interface Wave {
  /** Of each channel. */
  readonly peaks: readonly Float32Array[];
  readonly low: readonly number[];
  readonly high: readonly number[];
  readonly rms: readonly number[];
}

const COLUMNS = 600;
const [LOWEST_RATE, HIGHEST_RATE] = [3000, 768_000];

/** Decode a file as the browser plays it; only what is drawn is kept. */
export async function waveOf(blob: Blob, rate: number): Promise<Wave> {
  const allowed = Math.max(LOWEST_RATE, Math.min(HIGHEST_RATE, rate));
  const context = new OfflineAudioContext(1, 1, allowed);
  const sound = await context.decodeAudioData(await blob.arrayBuffer());
  const channels = Array.from({ length: sound.numberOfChannels }, (_, i) => sound.getChannelData(i));
  const peaks = channels.map((samples) => peaksOf(samples, COLUMNS));
  return {
    peaks,
    low: peaks.map((pairs) => pairs.reduce((least, value) => Math.min(least, value), 0)),
    high: peaks.map((pairs) => pairs.reduce((most, value) => Math.max(most, value), 0)),
    rms: channels.map(rms),
  };
}

/** Draw each channel in its own band, from -1 to 1. */
export function drawWave(canvas: HTMLCanvasElement, wave: Wave, width: number, height: number): void {
  const context = sizeCanvas(canvas, width, height);
  const style = getComputedStyle(canvas);
  const band = height / wave.peaks.length;
  wave.peaks.forEach((peaks, channel) => {
    const middle = band * (channel + 0.5);
    context.fillStyle = style.getPropertyValue("--line-strong");
    context.fillRect(0, Math.round(middle), width, 1);
    context.fillStyle = style.getPropertyValue("--accent");
    const columns = peaks.length / 2;
    for (let i = 0; i < columns; i++) {
      const top = middle - (peaks[2 * i + 1] * band) / 2;
      const bottom = middle - (peaks[2 * i] * band) / 2;
      context.fillRect(
        (i * width) / columns,
        top,
        Math.max(0.8, width / columns - 0.2),
        Math.max(1, bottom - top),
      );
    }
  });
}
