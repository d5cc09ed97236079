// What an exported page says of itself, and which channels of a layer it has.
import type { ExportInfo, Index, RecordMeta } from "../source/source";
import type { Place } from "./route";
import { numberList } from "./topkdata";

/** "alexnet · 21 Nov 2026, 09:20 UTC · convscope 0.1.0": of what the file is, as of when, and what wrote it. */
export function exportedText(index: Index, { version, wall_time }: ExportInfo): string {
  const when = wall_time === null ? [] : [dateText(wall_time)];
  return [index.logdir, ...when, `convscope ${version}`.trim()].join(" · ");
}

/** The same words on every machine: a file is passed on. */
function dateText(seconds: number): string {
  const [day, hour] = (["dateStyle", "timeStyle"] as const).map((style) =>
    new Date(1000 * seconds).toLocaleString("en-GB", {
      [style]: style === "dateStyle" ? "medium" : "short",
      timeZone: "UTC",
    }),
  );
  return `${day}, ${hour} UTC`;
}

/** Whether a channel of a layer can be shown: all can, unless an export has left some out. */
export function isExported(record: RecordMeta): (channel: number) => boolean {
  const chosen = record.meta.exported_channels;
  if (!Array.isArray(chosen)) return () => true;
  const here = new Set(numberList(chosen));
  return (channel) => here.has(channel);
}

/** A place that an address names, unless that channel was left out of the export. */
export function exportedPlace(record: RecordMeta, place: Place): Place {
  if (place.at < 0 || isExported(record)(place.at)) return place;
  return { at: -1, note: `Channel ${place.at} is not in this file.` };
}
