// Colours that a person chose for runs, kept in the browser: a place in the palette, or any colour.
import { categorical, type Theme } from "./palette";
import { recalled, remember } from "./remember";

export type Chosen = Readonly<Record<string, string>>;

const MOST = 2000;
const HEX = /^#[0-9a-f]{6}$/i;
const PLACE = /^\d{1,2}$/;

const keyOf = (logdir: string): string => `convscope-colours:${logdir}`;

/** The colours chosen for the runs of a logdir; whatever else is stored there is left out. */
export function chosenColours(logdir: string): Chosen {
  try {
    const stored: unknown = JSON.parse(recalled(keyOf(logdir)) ?? "{}");
    if (typeof stored !== "object" || stored === null || Array.isArray(stored)) return {};
    return Object.fromEntries(
      Object.entries(stored).filter(
        (entry): entry is [string, string] =>
          typeof entry[1] === "string" && (HEX.test(entry[1]) || PLACE.test(entry[1])),
      ),
    );
  } catch {
    return {};
  }
}

/** The same with the colour of one run changed, and stored; the empty string gives the run its own colour again. */
export function chooseColour(logdir: string, before: Chosen, run: string, colour: string): Chosen {
  const rest = Object.entries(before).filter(([name]) => name !== run);
  if (colour) rest.push([run, colour]);
  const next = Object.fromEntries(rest.slice(-MOST));
  remember(keyOf(logdir), JSON.stringify(next));
  return next;
}

/** The colour of a run: the one chosen for it, else that of its place in the palette. */
export function colourOf(chosen: string | undefined, slot: number, theme: Theme): string {
  if (chosen === undefined) return categorical(slot, theme);
  return PLACE.test(chosen) ? categorical(Number(chosen), theme) : chosen;
}
