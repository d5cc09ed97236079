// What the server of `convscope view` computes with the vectors of an embedding.
import { flattened, message, readFrames } from "../lib/liveprojection";
import { type EmbeddingPart, type Json, type LiveStatus, SourceError } from "./source";

/** How a host asks its server. */
export interface Wire {
  readonly address: (path: string, query: Record<string, string | number>) => string;
  readonly answered: (url: string, request: RequestInit) => Promise<Response>;
  /** The header that pages of others cannot send. */
  readonly ours: Readonly<Record<string, string>>;
}

export function embeddingPart({ address, answered, ours }: Wire): EmbeddingPart {
  const asked = async <T>(url: string, signal?: AbortSignal): Promise<T> =>
    (await (await answered(url, signal ? { signal } : {})).json()) as T;
  const sent = async <T>(url: string, body: Blob | Json | object, signal?: AbortSignal): Promise<T> => {
    const binary = body instanceof Blob;
    const headers = { ...ours, "Content-Type": binary ? body.type : "application/json" };
    const request: RequestInit = { method: "POST", headers, body: binary ? body : JSON.stringify(body) };
    return (await (await answered(url, signal ? { ...request, signal } : request)).json()) as T;
  };
  const projection = (key: string): string => `api/project/${encodeURIComponent(key)}`;
  return {
    options: (run, id, signal) => asked(address("project", { run, id }), signal),
    project: (ask, start) => {
      const flat = start && flattened(start, ask.parameters.dimensions === 3 ? 3 : 2);
      return sent("api/project", flat ? message(ask, flat) : ask);
    },
    async follow(key, from, take, signal) {
      const response = await answered(`${projection(key)}?from=${from}`, { signal });
      if (!response.body) throw new SourceError("this browser cannot read a stream; use a newer one");
      await readFrames(response.body, take);
    },
    act: (key, action, parameters = {}) => sent<LiveStatus>(projection(key), { action, parameters }),
    neighbours: (run, id, point, k, metric, signal) =>
      asked(address("neighbours", { run, id, point, k, metric }), signal),
    selection: (run, id, points, k, metric, signal) =>
      sent("api/selection", message({ run, id, k, metric }, Uint32Array.from(points)), signal),
  };
}
