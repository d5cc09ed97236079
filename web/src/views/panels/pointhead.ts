// What stands above the map of an embedding, and in its place where there is none.
import { empty, type Heading } from "../../lib/frame";
import type { ProjectionFrame } from "../../lib/frames";
import { embeddingFacts, origin } from "../../lib/pointfacts";
import type { EmbeddingData } from "../../lib/points";

export const EXPLAIN =
  "Every point is one picture; pictures that the layer describes alike lie close together. Distances within a group mean more than distances between groups.";

/** What fills the page. */
export const noEmbedding = (): HTMLElement =>
  empty(
    "No embedding yet",
    "Embed a data set by one of a network’s layers, or log vectors of your own:",
    "convscope demo",
    "convscope embed MODEL IMAGES --layer LAYER -o RUN",
    'writer.add_embedding(vectors, metadata=names, tag="features")',
  );

/** What is shown: a recorded frame, or one of a projection that forms now. */
export type ShownFrame = Pick<ProjectionFrame, "iteration" | "kl" | "meta">;

/** "step 3, t-SNE, iteration 500 of 750". */
export function originOf(data: EmbeddingData | undefined, frame: ShownFrame | undefined): string {
  const step = data?.record.step ? `step ${data.record.step}` : "";
  const unkept = frame?.meta.unkept === true ? "not recorded" : "";
  return [step, origin(frame?.iteration ?? 0, frame?.meta ?? {}), unkept].filter(Boolean).join(", ");
}

export function headingOf(data: EmbeddingData, frame: ShownFrame | undefined, colour: string): Heading {
  const kl = frame && Number.isFinite(frame.kl) ? frame.kl : undefined;
  return {
    view: "Embedding",
    tag: data.record.tag,
    run: data.run,
    colour,
    step: originOf(data, frame),
    explain: EXPLAIN,
    facts: embeddingFacts(data, frame?.meta ?? {}, kl),
  };
}
