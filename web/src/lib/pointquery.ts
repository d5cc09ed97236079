// The search language of points: words, "phrases", /expressions/, class:NAME, column:TERM, and - for not; as embed/search.py has it.
import type { PointColumn, TextRows } from "./pointcolumns";
import type { EmbeddingData } from "./points";
import { escaped, fold, type Tier } from "./search";

export const EXACT = 3;
export const WORD = 2;
export const PART = 1;
const CODES: Readonly<Record<Tier, number>> = { exact: EXACT, word: WORD, part: PART };

/** What a query finds: in which tier each point is. */
export interface Found {
  /** (N,): 3 exact, 2 whole word, 1 part of a word, 0 not found. */
  readonly tiers: Uint8Array;
  readonly counts: Readonly<Record<Tier, number>>;
}

export const NOTHING: Found = { tiers: new Uint8Array(), counts: { exact: 0, word: 0, part: 0 } };

export interface Term {
  readonly text: string;
  readonly not: boolean;
  /** Where to look; "" everywhere. */
  readonly column: string;
  /** A word that no column, quotes or slashes go with. */
  readonly plain: boolean;
  readonly pattern: RegExp | null;
}

export class QueryError extends Error {
  override readonly name = "QueryError";
}

const TERM =
  /(-?)(?:(?:"([^"]+)"|([^\s":/]+)):(?=\S))?(?:"([^"]*)(?:"|$)|\/((?:[^/\\]|\\.)+)\/(?=\s|$)|(\S+))/gu;
const CLASS = "class";
/** Rows of texts that are decoded together, and how long a search may keep the page from doing anything else. */
const BLOCK = 4096;
const TURN_MS = 24;

/** The terms of a query; `columns` are the names that may stand before a colon. */
export function parseQuery(query: string, columns: readonly string[]): Term[] {
  const known = new Set([CLASS, ...columns.map((name) => name.toLowerCase())]);
  const terms: Term[] = [];
  for (const match of query.matchAll(TERM)) {
    const [all, sign, quoted, name, phrase, regex, word] = match;
    const column = quoted ?? name ?? "";
    const not = sign === "-";
    if (column && !known.has(column.toLowerCase())) {
      // No column: the text as it stands.
      terms.push({ text: not ? all.slice(1) : all, not, column: "", plain: true, pattern: null });
      continue;
    }
    const text = phrase ?? regex ?? word ?? "";
    if (!text.trim()) continue;
    const pattern = regex === undefined ? null : compiled(regex);
    terms.push({ text, not, column: column.toLowerCase(), plain: word !== undefined && !column, pattern });
  }
  return terms;
}

function compiled(text: string): RegExp {
  try {
    return new RegExp(text, "iu");
  } catch (error) {
    const reason = error instanceof Error ? error.message.replace(/^.*\/iu?: /, "") : String(error);
    throw new QueryError(
      `/${text.slice(0, 60)}/ is not a regular expression (${reason}); leave out the slashes to find text.`,
    );
  }
}

/** The tier of one text for what is searched. */
type Judge = (text: string) => number;

function judgeOf(term: Term): { judge: Judge; folded: string } {
  const { pattern } = term;
  if (pattern) return { judge: (text) => (text && pattern.test(text) ? EXACT : 0), folded: "" };
  const wanted = fold(term.text);
  const word = new RegExp(`(?<![\\p{L}\\p{N}_])${escaped(wanted)}(?![\\p{L}\\p{N}_])`, "u");
  const judge = (text: string): number => {
    if (!wanted) return 0;
    const folded = fold(text);
    if (!folded.includes(wanted)) return 0;
    if (folded.split(/[,;]/).some((name) => name.trim() === wanted)) return EXACT;
    return word.test(folded) ? WORD : PART;
  };
  return { judge, folded: wanted };
}

/** Search the points; the page may do other things in between. Throws a QueryError where an expression is none. */
export async function findPoints(query: string, data: EmbeddingData, signal: AbortSignal): Promise<Found> {
  const terms = parseQuery(
    query,
    data.columns.map(({ name }) => name),
  );
  const tiers = new Uint8Array(data.count).fill(terms.length ? EXACT : 0);
  const turn = new Turn(signal);
  const plain = terms.filter((term) => term.plain && !term.not);
  if (plain.length) tiers.set(await plainTiers(plain, data, turn));
  for (const term of terms.filter((one) => !one.plain && !one.not))
    least(tiers, await tiersOf(term, data, turn));
  for (const term of terms.filter(({ not }) => not)) {
    const out = await tiersOf(term, data, turn);
    for (let i = 0; i < tiers.length; i++) if (out[i] >= WORD) tiers[i] = 0;
  }
  return { tiers, counts: countsOf(tiers) };
}

/** Plain words: all of them, or exactly where together they are a name. */
async function plainTiers(terms: readonly Term[], data: EmbeddingData, turn: Turn): Promise<Uint8Array> {
  const found = await tiersOf(terms[0], data, turn);
  if (terms.length === 1) return found;
  for (const term of terms.slice(1)) least(found, await tiersOf(term, data, turn));
  const text = terms.map((term) => term.text).join(" ");
  const together = await tiersOf({ ...terms[0], text }, data, turn);
  for (let i = 0; i < found.length; i++) if (together[i] === EXACT) found[i] = EXACT;
  return found;
}

async function tiersOf(term: Term, data: EmbeddingData, turn: Turn): Promise<Uint8Array> {
  const best = new Uint8Array(data.count);
  const { judge, folded } = judgeOf(term);
  const { column } = term;
  if (!column || column === CLASS) await byCodes(best, data.label, data.classes, judge, turn);
  if (column === CLASS) {
    for (let i = 0; i < best.length; i++) if (best[i] < EXACT) best[i] = 0;
    return best;
  }
  for (const one of data.columns) {
    if (column ? one.name.toLowerCase() === column : one.type !== "number")
      await inColumn(best, one, judge, folded, turn);
  }
  return best;
}

async function inColumn(
  best: Uint8Array,
  column: PointColumn,
  judge: Judge,
  folded: string,
  turn: Turn,
): Promise<void> {
  if (column.type === "category") return byCodes(best, column.codes, column.values, judge, turn);
  if (column.type === "text") return inTexts(best, await column.load(), judge, folded, turn);
  for (let i = 0; i < best.length; i++) {
    const value = column.values[i];
    if (!Number.isNaN(value)) best[i] = Math.max(best[i], judge(String(value)));
    if (i % BLOCK === 0) await turn.next();
  }
}

/** Judge each distinct value once. */
async function byCodes(
  best: Uint8Array,
  codes: ArrayLike<number>,
  values: readonly string[],
  judge: Judge,
  turn: Turn,
): Promise<void> {
  const tiers = new Uint8Array(values.length);
  for (let k = 0; k < values.length; k++) {
    tiers[k] = judge(values[k]);
    if (k % BLOCK === 0) await turn.next();
  }
  for (let i = 0; i < best.length; i++) {
    const tier = tiers[codes[i]]; // undefined for -1
    if (tier > best[i]) best[i] = tier;
  }
}

/** Blocks of texts that do not hold what is searched are passed over as a whole. */
async function inTexts(
  best: Uint8Array,
  rows: TextRows,
  judge: Judge,
  folded: string,
  turn: Turn,
): Promise<void> {
  const n = Math.min(best.length, rows.count);
  for (let start = 0; start < n; start += BLOCK) {
    await turn.next();
    const stop = Math.min(n, start + BLOCK);
    const block = rows.block(start, stop);
    if (folded && !fold(block.whole).includes(folded)) continue;
    for (let i = start; i < stop; i++) best[i] = Math.max(best[i], judge(block.row(i)));
  }
}

function least(tiers: Uint8Array, others: Uint8Array): void {
  for (let i = 0; i < tiers.length; i++) if (others[i] < tiers[i]) tiers[i] = others[i];
}

function countsOf(tiers: Uint8Array): Found["counts"] {
  const counts = [0, 0, 0, 0];
  for (let i = 0; i < tiers.length; i++) counts[tiers[i]]++;
  return { exact: counts[EXACT], word: counts[WORD], part: counts[PART] };
}

/** The best tier in which there is anything, the wanted one where it has something. */
export function tierShown({ counts }: Found, wanted: string | undefined): Tier | null {
  const all: readonly Tier[] = ["exact", "word", "part"];
  return (
    all.find((tier) => tier === wanted && counts[tier] > 0) ?? all.find((tier) => counts[tier] > 0) ?? null
  );
}

/** (N,): 1 where a point is in the tier. */
export function pointsIn({ tiers }: Found, tier: Tier | null): Uint8Array {
  const bits = new Uint8Array(tiers.length);
  if (!tier) return bits;
  const code = CODES[tier];
  for (let i = 0; i < bits.length; i++) bits[i] = tiers[i] === code ? 1 : 0;
  return bits;
}

/** Gives the page a turn every now and then. */
class Turn {
  #since = performance.now();

  constructor(private readonly signal: AbortSignal) {}

  async next(): Promise<void> {
    this.signal.throwIfAborted();
    if (performance.now() - this.#since < TURN_MS) return;
    await new Promise((go) => setTimeout(go));
    this.signal.throwIfAborted();
    this.#since = performance.now();
  }
}
