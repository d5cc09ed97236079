// The images that a search found: their names and whole pictures, from the audit record of the same run.
import type { Index, RecordInfo, Sheet, Source } from "../source/source";
import { textList } from "./topkdata";

/** Where the whole picture of an image is. */
export interface Thumbnail {
  readonly id: string;
  readonly sheet: Sheet;
  readonly row: number;
  readonly column: number;
}

export interface SearchImages {
  /** Name of an image by its number in the data set; empty if it is not known. */
  name(image: number): string;
  thumbnail(image: number): Thumbnail | undefined;
}

export const NO_IMAGES: SearchImages = { name: () => "", thumbnail: () => undefined };

/** The audit that belongs to a search: of this network, of the same step if there is one. */
export function auditOf(index: Index, run: string, network: string, step: number): RecordInfo | undefined {
  const audits = (index.runs.find(({ name }) => name === run)?.records ?? []).filter(
    ({ kind, tag }) => kind === "audit" && tag === network,
  );
  return audits.findLast((one) => one.step === step) ?? audits.at(-1);
}

export async function fetchImages(
  source: Source,
  run: string,
  id: string,
  signal?: AbortSignal,
): Promise<SearchImages> {
  const record = await source.record(run, id, signal);
  const { index } = await source.arrays(run, id, ["index"], signal);
  const names = textList(record.meta.names);
  const rows = new Map(Array.from(index.data, (image, row) => [image, row]));
  const sheet = record.pictures.thumbnail;
  return {
    name: (image) => names[rows.get(image) ?? -1] ?? "",
    thumbnail: (image) => {
      const at = rows.get(image);
      if (at === undefined || !sheet) return undefined;
      return { id, sheet, row: Math.floor(at / sheet.columns), column: at % sheet.columns };
    },
  };
}
