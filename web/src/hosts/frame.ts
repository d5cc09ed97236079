// The entry of a notebook's frame: the app, asking the kernel by messages that the notebook's page passes on.
import { show } from "../page";
import { PortLine } from "../source/line";
import { MessageSource } from "../source/messages";

declare global {
  /** What the page around the frame has handed in. */
  var convscopeFrame: {
    /** For the questions of the app. */
    readonly port: MessagePort;
    /** For chunks of the program: their names go out, what they are comes back. */
    readonly program: MessagePort;
    readonly dark: boolean;
    readonly startAt: string;
    readonly compact: boolean;
  };
}

const { port, dark, startAt, compact } = globalThis.convscopeFrame;

/** Answers what a page asks about the theme of the system: here it is the notebook's. */
class NotebookTheme extends EventTarget {
  constructor(public matches: boolean) {
    super();
    port.addEventListener("message", ({ data }: MessageEvent<{ dark?: boolean }>) => {
      if (data.dark === undefined) return;
      this.matches = data.dark;
      this.dispatchEvent(new Event("change"));
    });
  }
}

/** The notebook's page remembers the address: a frame that is moved in a page begins anew. */
const told = (): void => port.postMessage({ hash: location.hash });
addEventListener("hashchange", told);
for (const how of ["pushState", "replaceState"] as const) {
  const write = history[how].bind(history);
  history[how] = (...change) => {
    write(...change);
    told();
  };
}

show(new MessageSource(new PortLine(port)), { compact, startAt, dark: new NotebookTheme(dark) });
