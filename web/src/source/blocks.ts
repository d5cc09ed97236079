// The numbered blocks of an exported page: base64 inside <script> elements that no browser runs.
import { type Address, SourceError } from "./source";

/** Where the blocks of an export are. */
export interface Blocks {
  /** The bytes of a block of numbers. */
  bytes(block: number): Promise<Uint8Array<ArrayBuffer>>;
  /** An address under which the browser has a block that is a picture or a sound. */
  url(block: number): Address;
}

const GZIP = "application/gzip";
/** So many blocks have an address at a time; the one that was asked for longest ago loses it. */
const ADDRESSES = 512;

/** The blocks that lie in a document, which may still be on its way: `<script type="image/webp" id="block-3">UklGR…</script>`. */
export class PageBlocks implements Blocks {
  readonly #urls = new Map<number, Address>();
  #grown: Promise<void> | undefined;

  constructor(private readonly page: Document) {}

  async bytes(block: number): Promise<Uint8Array<ArrayBuffer>> {
    const element = this.#here(block) ?? (await this.#arrived(block));
    const data = fromBase64(element.text);
    return element.type === GZIP ? gunzip(data) : data;
  }

  url(block: number): Address {
    const url = this.#urls.get(block) ?? this.#address(block);
    this.#urls.delete(block);
    this.#urls.set(block, url);
    if (this.#urls.size > ADDRESSES) this.#forget();
    return url;
  }

  #address(block: number): Address {
    const element = this.#here(block);
    if (element) return objectUrl(element);
    const coming = this.#arrived(block).then(objectUrl);
    coming.catch(() => this.#urls.delete(block));
    return coming;
  }

  #forget(): void {
    for (const [block, url] of this.#urls) {
      this.#urls.delete(block);
      if (typeof url === "string") URL.revokeObjectURL(url);
      else url.then(URL.revokeObjectURL, () => undefined);
      return;
    }
  }

  /** The element of a block when all of it has been read: then something follows it, or the page has ended. */
  #here(block: number): HTMLScriptElement | undefined {
    const element = this.page.getElementById(`block-${block}`) as HTMLScriptElement | null;
    return element && (element.nextSibling || this.page.readyState !== "loading") ? element : undefined;
  }

  async #arrived(block: number): Promise<HTMLScriptElement> {
    for (;;) {
      const ended = this.page.readyState !== "loading";
      const element = this.#here(block);
      if (element) return element;
      if (ended) throw new SourceError(`the file has no block ${block}; it may be cut off: get it again`);
      await this.#growth();
    }
  }

  /** Resolves when more of the page has been read. */
  #growth(): Promise<void> {
    this.#grown ??= new Promise((go) => {
      const more = (): void => {
        observer.disconnect();
        this.page.removeEventListener("readystatechange", more);
        this.#grown = undefined;
        go();
      };
      const observer = new MutationObserver(more);
      observer.observe(this.page.body, { childList: true });
      this.page.addEventListener("readystatechange", more);
    });
    return this.#grown;
  }
}

const objectUrl = ({ type, text }: HTMLScriptElement): string =>
  URL.createObjectURL(new Blob([fromBase64(text)], { type }));

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
