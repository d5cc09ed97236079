// What went wrong while reading runs: the whole list, and what of it is new.
import type { RunInfo } from "../source/source";
import { plural } from "./format";

export interface Problem {
  readonly run: string;
  readonly text: string;
}

export interface Toast {
  readonly id: number;
  readonly title: string;
  readonly text: string;
}

/** As many new problems are told one by one. */
const ONE_BY_ONE = 2;
/** As many toasts stand at once. */
export const TOASTS = 3;

export const problemsOf = (runs: readonly RunInfo[]): Problem[] =>
  runs.flatMap(({ name, problems }) => problems.map((text) => ({ run: name, text })));

export const problemKey = ({ run, text }: Problem): string => `${run}\n${text}`;

/** What to say of problems that are new: each, or how many they are. */
export function toastsOf(fresh: readonly Problem[], id: number): Toast[] {
  if (fresh.length <= ONE_BY_ONE) return fresh.map(({ run, text }, i) => ({ id: id + i, title: run, text }));
  const runs = new Set(fresh.map(({ run }) => run));
  const title = `${plural(fresh.length, "problem")} in ${plural(runs.size, "run")}`;
  return [{ id, title, text: `The first, in ${fresh[0].run}: ${fresh[0].text}` }];
}
