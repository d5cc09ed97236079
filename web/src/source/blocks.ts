// The numbered blocks of an exported page: base64 inside <script> elements that no browser runs.
import { SourceError } from "./source";

/** Where the blocks of an export are. */
export interface Blocks {
  /** The bytes of a block of numbers. */
  bytes(block: number): Promise<Uint8Array<ArrayBuffer>>;
  /** An address under which the browser has a block that is a picture. */
  url(block: number): string;
}

const GZIP = "application/gzip";
/** So many pictures have an address at a time; the one that was asked for longest ago loses it. */
const ADDRESSES = 512;

/** The blocks that lie in a document: `<script type="image/webp" id="block-3">UklGR…</script>`. */
export class PageBlocks implements Blocks {
  readonly #urls = new Map<number, string>();

  constructor(private readonly page: Document) {}

  async bytes(block: number): Promise<Uint8Array<ArrayBuffer>> {
    const { type, data } = this.#read(block);
    return type === GZIP ? gunzip(data) : data;
  }

  url(block: number): string {
    const known = this.#urls.get(block);
    if (known) {
      this.#urls.delete(block);
      this.#urls.set(block, known);
      return known;
    }
    const { type, data } = this.#read(block);
    const url = URL.createObjectURL(new Blob([data], { type }));
    this.#urls.set(block, url);
    if (this.#urls.size > ADDRESSES) this.#forget();
    return url;
  }

  #forget(): void {
    for (const [block, url] of this.#urls) {
      URL.revokeObjectURL(url);
      this.#urls.delete(block);
      return;
    }
  }

  #read(block: number): { type: string; data: Uint8Array<ArrayBuffer> } {
    const element = this.page.getElementById(`block-${block}`);
    if (!(element instanceof HTMLScriptElement)) throw new SourceError(`the file has no block ${block}`);
    return { type: element.type, data: fromBase64(element.text) };
  }
}

export function fromBase64(text: string): Uint8Array<ArrayBuffer> {
  const letters = atob(text);
  const bytes = new Uint8Array(letters.length);
  for (let i = 0; i < letters.length; i++) bytes[i] = letters.charCodeAt(i);
  return bytes;
}

export async function gunzip(bytes: Uint8Array<ArrayBuffer>): Promise<Uint8Array<ArrayBuffer>> {
  if (typeof DecompressionStream === "undefined")
    throw new SourceError("this browser is too old to unpack the page; use one from 2023 or later");
  const unpacked = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Uint8Array(await new Response(unpacked).arrayBuffer());
}
