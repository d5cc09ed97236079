// What runs in the notebook's own page: a frame for the app, and messages passed on between it and the kernel.
//
// The app runs in a frame of its own with an origin of its own: its styles and keys stay in there, and what a run holds
// cannot reach the notebook. This file is sent with every widget, so it is small; the program comes by message, once.

interface Model {
  get(name: string): unknown;
  send(content: unknown, callbacks?: unknown, buffers?: ArrayBuffer[]): void;
  on(name: string, callback: (...given: never[]) => void): void;
  off(name: string, callback: (...given: never[]) => void): void;
}

interface Answer {
  readonly id?: string;
  readonly value?: unknown;
  readonly error?: string;
  readonly version?: number;
}

/** What the kernel answers to "program". */
interface Program {
  readonly style: string;
  /** The first script, which loads the others. */
  readonly boot: string;
  /** The chunk to begin with. */
  readonly start: string;
}

/**
 * After so long a question is asked once more. JupyterLab answers widgets beside a cell that runs (in a subshell), but
 * not what is asked before that is ready: that waits for the cell.
 */
const AGAIN_MS = 1500;
/** After so long without an answer it is said that there is none. */
const SILENT_MS = 5000;
const SILENT =
  "The kernel does not answer. It is busy, and what is asked for comes when it is free; or it has ended: run the cell again.";
const ENDED = "The kernel has ended. Run the cell again.";

/** So often it is said that the page is still there; a tab in the background may be slower by a factor of two. */
const HERE_MS = 30_000;

/** The styles of a theme come after its name. */
const STYLED_MS = 800;

/** Chunks that have come, for all widgets of the page; their names change with what is in them. */
const shared = globalThis as { convscopeChunks?: Map<string, unknown> };
shared.convscopeChunks ??= new Map();
const chunks = shared.convscopeChunks;

/** The frame's document: it takes the program from the first message that comes, and asks for more by its port. */
const page = (nonce: string): string => `<!doctype html><html lang="en"><head><meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; script-src 'nonce-${nonce}'; style-src 'unsafe-inline'; img-src data: blob:; media-src data: blob:; font-src data:; connect-src data: blob:; worker-src blob:; base-uri about:; form-action 'none'">
<base href="about:srcdoc"><title>convscope</title></head><body><div id="app"></div>
<script nonce="${nonce}">
addEventListener("message", ({ source, data, ports: [port, program] }) => {
  if (source !== parent || !program || globalThis.convscopeFrame) return;
  globalThis.convscopeFrame = { port, program, ...data.options };
  const style = document.createElement("style");
  style.textContent = data.style;
  const script = document.createElement("script");
  script.nonce = "${nonce}";
  script.dataset.start = data.start;
  script.text = data.boot;
  document.head.append(style, script);
});
</script></body></html>`;

/** Bytes as the frame takes them; hosts give views of larger buffers. */
function bytesOf(buffer: ArrayBuffer | DataView | undefined): ArrayBuffer | undefined {
  if (!buffer || buffer instanceof ArrayBuffer) return buffer;
  return new Uint8Array(buffer.buffer as ArrayBuffer, buffer.byteOffset, buffer.byteLength).slice().buffer;
}

/** Whether the notebook is dark where the widget stands: by the colour that is behind it. */
function isDark(el: Element): boolean {
  for (let at: Element | null = el; at; at = at.parentElement ?? host(at)) {
    const found = /rgba?\(([\d.]+), ([\d.]+), ([\d.]+)(?:, ([\d.]+))?\)/.exec(
      getComputedStyle(at).backgroundColor,
    );
    const [red, green, blue, opacity] = (found?.slice(1) ?? ["0", "0", "0", "0"]).map((part) =>
      Number(part ?? 1),
    );
    if (opacity > 0.5) return 0.299 * red + 0.587 * green + 0.114 * blue < 128;
  }
  return matchMedia("(prefers-color-scheme: dark)").matches;
}

/** What a shadow tree hangs on. */
const host = (el: Element): Element | null => (el.getRootNode() as Partial<ShadowRoot>).host ?? null;

const random = (): string => crypto.getRandomValues(new Uint32Array(4)).join("");

/** The kernel's end: numbers the questions of one view, and gives each its answer. */
class Kernel {
  readonly #view = random();
  readonly #waiting = new Map<string, (answer: Answer, data: ArrayBuffer | undefined) => void>();
  readonly #heard = (answer: Answer, buffers: readonly (ArrayBuffer | DataView)[]): void => {
    if (answer.version !== undefined) this.news(answer.version);
    const take = this.#waiting.get(answer.id ?? "");
    this.#waiting.delete(answer.id ?? "");
    this.#wait();
    take?.(answer, bytesOf(buffers?.[0]));
  };
  #timer = 0;
  #last = 0;

  constructor(
    private readonly model: Model,
    private readonly news: (version: number) => void,
    private readonly silent: (yes: boolean) => void,
    private readonly ended: () => void,
  ) {
    model.on("msg:custom", this.#heard);
  }

  ask(question: object, take: (answer: Answer, data: ArrayBuffer | undefined) => void): void {
    const id = `${this.#view}:${++this.#last}`;
    if (!this.#waiting.size) this.#wait(true);
    this.#waiting.set(id, take);
    this.tell({ ...question, id });
    setTimeout(() => this.#waiting.has(id) && this.tell({ ...question, id }), AGAIN_MS);
  }

  tell(what: object): void {
    try {
      this.model.send({ ...what, view: this.#view });
    } catch {
      this.ended(); // JupyterLab's way to say that there is no kernel
    }
  }

  close(): void {
    clearTimeout(this.#timer);
    this.#waiting.clear();
    this.model.off("msg:custom", this.#heard);
  }

  /** Every answer shows that somebody is there. */
  #wait(asked = this.#waiting.size > 0): void {
    clearTimeout(this.#timer);
    if (!asked || this.#waiting.size) this.silent(false);
    if (asked) this.#timer = window.setTimeout(() => this.silent(true), SILENT_MS);
  }
}

function text(el: HTMLElement, sentence: string): void {
  el.textContent = sentence;
  el.hidden = !sentence;
}

function render({ model, el }: { model: Model; el: HTMLElement }): () => void {
  const box = document.createElement("div");
  const note = document.createElement("p");
  const frame = document.createElement("iframe");
  const nonce = random();
  box.className = "convscope";
  box.style.cssText = "position:relative;overflow:hidden;resize:vertical;min-height:160px;border-radius:6px";
  frame.style.cssText = "display:block;border:0;width:100%;height:100%;color-scheme:normal";
  note.style.cssText =
    "position:absolute;inset:auto 0 0;margin:0;padding:6px 12px;font:13px/1.4 system-ui,sans-serif;color:#fff;background:#8a2436";
  note.setAttribute("role", "status");
  frame.title = "convscope";
  frame.allow = "fullscreen; clipboard-write";
  frame.setAttribute("sandbox", "allow-scripts allow-downloads");
  text(note, "");

  let port: MessagePort | undefined;
  let dark = false;
  let hash = String(model.get("start"));
  let ended = false;
  let watching = false;
  const gone = (): void => {
    ended = true;
    text(note, ENDED);
  };
  const kernel = new Kernel(
    model,
    (version) => port?.postMessage({ version }),
    (yes) => {
      if (!ended) text(note, yes ? SILENT : "");
    },
    gone,
  );
  const resize = (): void => {
    box.style.height = `${Number(model.get("height"))}px`;
  };
  const repaint = (): void => {
    const now = isDark(el);
    if (now !== dark) port?.postMessage({ dark: now });
    dark = now;
  };

  const watch = (yes: boolean): void => {
    watching = yes;
    kernel.tell({ watch: yes });
  };
  const here = (): void => {
    if (watching && !ended) kernel.tell({ watch: true });
  };
  const away = (): void => {
    if (watching) kernel.tell({ watch: false });
  };

  /** Have a chunk of the program, of this page or of the kernel. */
  const chunk = (name: string, take: (text: unknown, error?: string) => void): void => {
    if (chunks.has(name)) take(chunks.get(name));
    else
      kernel.ask({ ask: "chunk", name }, ({ value, error }) => {
        if (error === undefined) chunks.set(name, value);
        take(value, error);
      });
  };

  const start = (program: Program): void => {
    const [line, scripts] = [new MessageChannel(), new MessageChannel()];
    port?.close();
    port = line.port1;
    port.onmessage = ({ data }: MessageEvent<{ id?: number; watch?: boolean; hash?: string }>) => {
      const { id, ...question } = data;
      if (data.hash !== undefined) hash = data.hash;
      else if (data.watch !== undefined) watch(data.watch);
      else
        kernel.ask(question, ({ value, error }, bytes) => {
          line.port1.postMessage({ id, value, error, data: bytes }, bytes ? [bytes] : []);
        });
    };
    scripts.port1.onmessage = ({ data: name }: MessageEvent<string>) =>
      chunk(name, (text, error) => scripts.port1.postMessage({ name, text, error }));
    dark = isDark(el); // only now it stands in the page
    const options = { dark, startAt: hash, compact: model.get("compact") };
    frame.contentWindow?.postMessage({ ...program, options }, "*", [line.port2, scripts.port2]);
  };

  // A frame that is moved in the page begins anew: at every load it is given the program again.
  frame.addEventListener("load", () => {
    const key = `program ${model.get("program")}`;
    const known = chunks.get(key) as Program | undefined;
    if (known) start(known);
    else
      kernel.ask({ ask: "program" }, ({ value, error }) => {
        if (error !== undefined) text(note, error);
        else {
          chunks.set(key, value);
          start(value as Program);
        }
      });
  });
  resize();
  frame.srcdoc = page(nonce);
  box.append(frame, note);
  el.append(box);

  const look = new MutationObserver(() => {
    repaint();
    setTimeout(repaint, STYLED_MS);
  });
  for (const root of [document.documentElement, document.body, el.ownerDocument.documentElement])
    look.observe(root, { attributes: true });
  const scheme = matchMedia("(prefers-color-scheme: dark)");
  scheme.addEventListener("change", repaint);
  model.on("change:height", resize);
  model.on("comm_live_update", gone);
  // A page that is closed may have no time to say so: who is not heard of is forgotten.
  const beat = setInterval(here, HERE_MS);
  addEventListener("pagehide", away);
  addEventListener("pageshow", here);
  return () => {
    clearInterval(beat);
    removeEventListener("pagehide", away);
    removeEventListener("pageshow", here);
    kernel.tell({ watch: false });
    kernel.close();
    look.disconnect();
    scheme.removeEventListener("change", repaint);
    model.off("change:height", resize);
    model.off("comm_live_update", gone);
    port?.close();
    box.remove();
  };
}

export default { render };
