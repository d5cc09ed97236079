// Runs the program in chunks where modules cannot be loaded (file://, a page without requests, a notebook's frame).
//
// Each chunk is a classic script, `System.register("name.js", ["./needed.js"], (put, context) => …)`, and `import()`
// in it asks this loader. One that is not there yet is asked of the host: `globalThis.convscopeChunk(name)` brings the
// script, which registers itself. The script element that holds the loader names the chunk to begin with: data-start.

type Names = Record<string, unknown>;
type Setter = (names: Names) => void;

/** `setters`: one a needed chunk, told its exports now and whenever one of them changes. */
type Declared = { setters?: readonly (Setter | null | undefined)[]; execute?: () => void };
type Context = { import: (name: string) => Promise<Names>; meta: { url: string } };
/** Exports of a chunk: one, or several at once. Returns the value. */
type Put = (name: string | Names, value?: unknown) => unknown;
type Declare = (put: Put, context: Context) => Declared;

interface Chunk {
  readonly needs: readonly string[];
  readonly declare: Declare;
  readonly names: Names;
  readonly importers: Setter[];
  declared?: Declared;
  begun?: boolean;
  failed?: { readonly error: unknown };
}

declare global {
  var System: Pick<Loader, "register" | "import">;
  /** Brings the script of a chunk; set by the host. */
  var convscopeChunk: (name: string) => Promise<void>;
}

/** All chunks lie beside each other. */
const nameOf = (path: string): string => path.slice(path.lastIndexOf("/") + 1);

export class Loader {
  readonly #chunks = new Map<string, Chunk>();
  readonly #asked = new Map<string, Promise<void>>();

  /** `bring`: lets the script of a chunk run. */
  constructor(private readonly bring: (name: string) => Promise<void>) {}

  register = (name: string, needs: readonly string[], declare: Declare): void => {
    if (!this.#chunks.has(name))
      this.#chunks.set(name, { needs: needs.map(nameOf), declare, names: {}, importers: [] });
  };

  /** The exports of a chunk, which runs if it has not; what it needs is brought and runs first. */
  import = async (path: string): Promise<Names> => {
    const name = nameOf(path);
    await this.#have(name, new Set());
    this.#link(name);
    this.#run(name);
    return this.#chunk(name).names;
  };

  #chunk(name: string): Chunk {
    const chunk = this.#chunks.get(name);
    if (!chunk) throw new Error(`this part of the program did not come: ${name}`);
    return chunk;
  }

  async #have(name: string, seen: Set<string>): Promise<void> {
    if (seen.has(name)) return;
    seen.add(name);
    if (!this.#chunks.has(name)) await this.#ask(name);
    await Promise.all(this.#chunk(name).needs.map((need) => this.#have(need, seen)));
  }

  /** Asked for once; after a failure again. */
  #ask(name: string): Promise<void> {
    const asked = this.#asked.get(name) ?? this.bring(name);
    this.#asked.set(name, asked);
    return asked.catch((error: unknown) => {
      this.#asked.delete(name);
      throw error;
    });
  }

  #link(name: string): void {
    const chunk = this.#chunk(name);
    if (chunk.declared) return;
    const context = { import: this.import, meta: { url: document.baseURI } };
    chunk.declared = chunk.declare((names, value) => put(chunk, names, value), context);
    chunk.needs.forEach((need, i) => {
      this.#link(need);
      const setter = chunk.declared?.setters?.[i];
      if (!setter) return;
      this.#chunk(need).importers.push(setter);
      setter(this.#chunk(need).names);
    });
  }

  #run(name: string): void {
    const chunk = this.#chunk(name);
    if (chunk.failed) throw chunk.failed.error;
    if (chunk.begun) return;
    chunk.begun = true;
    try {
      for (const need of chunk.needs) this.#run(need);
      chunk.declared?.execute?.();
    } catch (error) {
      chunk.failed = { error };
      throw error;
    }
  }
}

function put({ names, importers }: Chunk, given: string | Names, value: unknown): unknown {
  if (typeof given === "string") names[given] = value;
  else Object.assign(names, given);
  for (const tell of importers) tell(names);
  return typeof given === "string" ? value : given;
}

const start = globalThis.document?.currentScript?.dataset.start;
if (start) {
  globalThis.System = new Loader((name) => globalThis.convscopeChunk(name));
  globalThis.System.import(start).catch((error: unknown) => {
    const app = document.getElementById("app");
    if (app)
      app.textContent = `The page could not be started. ${error instanceof Error ? error.message : error}`;
  });
}
