// Numbers, sizes and times as people read them.

const COUNT = new Intl.NumberFormat("en-US");
const MINUS = "−";

/** 12345 → "12,345". */
export const count = (n: number): string => COUNT.format(n);

/** "1 point", "2,304 points". */
export const plural = (n: number, noun: string, many = `${noun}s`): string =>
  `${count(n)} ${n === 1 ? noun : many}`;

/** Four significant digits, exponent only where it helps; NaN and infinities by name. */
export function number(value: number, digits = 4): string {
  if (Number.isNaN(value)) return "NaN";
  if (!Number.isFinite(value)) return value > 0 ? "∞" : `${MINUS}∞`;
  if (value === 0) return "0";
  const size = Math.abs(value);
  const text = size >= 1e6 || size < 1e-4 ? exponential(value, digits) : fixed(value, digits);
  return text.replace("-", MINUS);
}

function exponential(value: number, digits: number): string {
  const [mantissa, exponent] = value.toExponential(Math.max(0, digits - 2)).split("e");
  return `${mantissa.replace(/\.?0+$/, "")}e${exponent.replace("+", "")}`;
}

function fixed(value: number, digits: number): string {
  if (Number.isInteger(value)) return COUNT.format(value);
  const decimals = Math.max(0, digits - 1 - Math.floor(Math.log10(Math.abs(value))));
  return value
    .toFixed(Math.min(decimals, 8))
    .replace(/(\.\d*?)0+$/, "$1")
    .replace(/\.$/, "");
}

/** All the digits a double has that matter. */
export const exact = (value: number): string =>
  Number.isNaN(value) ? "NaN" : String(Number(value.toPrecision(9))).replace("-", MINUS);

/** 0.1234 → "12.3 %". */
export function percent(share: number): string {
  const value = share * 100;
  const decimals = value !== 0 && Math.abs(value) < 10 ? 1 : 0;
  return `${value.toFixed(decimals)} %`;
}

/** Seconds as "12 s", "3 min 5 s", "2 h 10 min". */
export function duration(seconds: number): string {
  const s = Math.max(0, Math.round(seconds));
  if (s < 60) return `${s} s`;
  if (s < 3600) return `${Math.floor(s / 60)} min${s % 60 ? ` ${s % 60} s` : ""}`;
  if (s < 86400) return `${Math.floor(s / 3600)} h ${Math.floor((s % 3600) / 60)} min`;
  return `${Math.floor(s / 86400)} d ${Math.floor((s % 86400) / 3600)} h`;
}

/** How long ago in one unit: "just now", "less than a minute ago", "5 min ago". */
export function ago(seconds: number): string {
  if (seconds < JUST) return "just now";
  if (seconds < 60) return "less than a minute ago";
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ago`;
  if (seconds < 86400) return `${Math.round(seconds / 3600)} h ago`;
  return `${Math.round(seconds / 86400)} d ago`;
}

const JUST = 10;

/** After how many seconds {@link ago} says something else: a page that nothing happens to is not painted before. */
export function agoStays(seconds: number): number {
  if (seconds < JUST) return JUST - seconds;
  return 60 - (seconds % 60);
}

/** The time of day, as people here write it; `ms` since 1970. */
export const clock = (ms: number): string =>
  new Date(ms).toLocaleTimeString(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit" });

/** Axis labels: 12000 → "12k". */
export function tick(value: number): string {
  const size = Math.abs(value);
  if (size >= 1e9) return `${number(value / 1e9, 3)}G`;
  if (size >= 1e6) return `${number(value / 1e6, 3)}M`;
  if (size >= 1e4) return `${number(value / 1e3, 3)}k`;
  return number(value, 3);
}

/** "11 × 11". */
export const times = (...sizes: number[]): string => sizes.join(" × ");
