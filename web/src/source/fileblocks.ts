// The blocks of a site: small files beside the page, loaded as scripts, which works from any host and from the disk.
import { type Blocks, fromBase64, gunzip } from "./blocks";
import { SourceError } from "./source";

/** A block as it is in its file: its media type, and its bytes in base64. */
export type Piece = readonly [type: string, base64: string];

declare global {
  /** Called by each file of blocks. */
  var convscopeData: (name: string, pieces: readonly Piece[]) => void;
}

const GZIP = "application/gzip";
/** So many files stay in memory as they are: small blocks share one. */
const KEPT = 24;
/** So many blocks have an address at a time; the one that was asked for longest ago loses it. */
const ADDRESSES = 512;

/** Let a script of the site run; `path` is relative to the page. */
export function runScript(page: Document, path: string): Promise<void> {
  const script = page.createElement("script");
  return new Promise<void>((done, fail) => {
    script.onload = () => done();
    script.onerror = () =>
      fail(new SourceError(`the site has no file ${path}; it may not be whole: copy it again`));
    script.src = path;
    page.head.append(script);
  }).finally(() => script.remove());
}

/** The files of blocks of a site. */
export class DataFiles {
  readonly #arrived = new Map<string, readonly Piece[]>();
  readonly #recent = new Map<string, Promise<readonly Piece[]>>();

  /** `run`: lets the script at a path run. */
  constructor(private readonly run: (path: string) => Promise<void>) {
    globalThis.convscopeData = (name, pieces) => this.#arrived.set(name, pieces);
  }

  /** What is in a file. */
  load(name: string): Promise<readonly Piece[]> {
    const known = this.#recent.get(name);
    const pieces = known ?? this.#load(name);
    this.#recent.delete(name);
    this.#recent.set(name, pieces);
    if (!known) pieces.catch(() => this.#recent.delete(name));
    if (this.#recent.size > KEPT) this.#recent.delete(this.#recent.keys().next().value ?? "");
    return pieces;
  }

  /** What is in a file of one block that is JSON. */
  async json<T>(name: string): Promise<T> {
    const [piece] = await this.load(name);
    return JSON.parse(new TextDecoder().decode(await bytesOf(piece))) as T;
  }

  async #load(name: string): Promise<readonly Piece[]> {
    const path = `data/${name.slice(0, 2)}/${name}.js`;
    await this.run(path);
    const pieces = this.#arrived.get(name);
    this.#arrived.delete(name);
    if (!pieces) throw new SourceError(`the file ${path} of the site is damaged; copy it again`);
    return pieces;
  }
}

const bytesOf = async ([type, base64]: Piece): Promise<Uint8Array<ArrayBuffer>> =>
  type === GZIP ? gunzip(fromBase64(base64)) : fromBase64(base64);

/** Which files there are, and of each block its file and its place in it. */
interface Table {
  readonly files: readonly string[];
  readonly blocks: readonly (readonly [file: number, place: number])[];
}

export class FileBlocks implements Blocks {
  readonly #urls = new Map<number, Promise<string>>();
  #table: Promise<Table> | undefined;

  /** `table`: the file that says where the blocks are. */
  constructor(
    private readonly files: DataFiles,
    private readonly table: string,
  ) {}

  async bytes(block: number): Promise<Uint8Array<ArrayBuffer>> {
    return bytesOf(await this.#piece(block));
  }

  url(block: number): Promise<string> {
    const url = this.#urls.get(block) ?? this.#address(block);
    this.#urls.delete(block);
    this.#urls.set(block, url);
    if (this.#urls.size > ADDRESSES) this.#forget();
    return url;
  }

  #address(block: number): Promise<string> {
    const url = this.#piece(block).then(([type, base64]) =>
      URL.createObjectURL(new Blob([fromBase64(base64)], { type })),
    );
    url.catch(() => this.#urls.delete(block));
    return url;
  }

  #forget(): void {
    for (const [block, url] of this.#urls) {
      this.#urls.delete(block);
      url.then(URL.revokeObjectURL, () => undefined);
      return;
    }
  }

  async #piece(block: number): Promise<Piece> {
    this.#table ??= this.files.json<Table>(this.table);
    this.#table.catch(() => {
      this.#table = undefined;
    });
    const { files, blocks } = await this.#table;
    const [file, place] = blocks[block] ?? [-1, 0];
    const piece = files[file] === undefined ? undefined : (await this.files.load(files[file]))[place];
    if (!piece) throw new SourceError(`the site has no block ${block}; export it again`);
    return piece;
  }
}
