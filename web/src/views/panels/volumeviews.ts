// Named views of a page: save what is seen under a name, go back to it, copy its address.
import { h, put, refill } from "../../lib/dom";
import {
  forgetView,
  nameOf,
  type SavedView,
  savedViews,
  saveView,
  type ViewPage,
} from "../../lib/savedviews";

export interface ViewsEvents {
  /** The address of what is seen now, as a view of this name. */
  readonly address: (name: string) => string;
  readonly open: (hash: string) => void;
}

export class VolumeViews {
  readonly #name = h("input", {
    type: "text",
    "aria-label": "Name of the view",
    placeholder: "Name of this view",
    maxlength: 60,
  });
  readonly #list = h("ul", { class: "saved-views" });
  readonly #said = h("p", { class: "muted", role: "status" });
  readonly el = h(
    "section",
    { class: "block", "aria-label": "Saved views" },
    h("h3", {}, "Saved views"),
    h(
      "form",
      {
        class: "saved-form",
        onsubmit: (event: SubmitEvent) => {
          event.preventDefault();
          this.#save();
        },
      },
      this.#name,
      h("button", { type: "submit", class: "button" }, "Save"),
    ),
    this.#list,
    this.#said,
  );
  #logdir = "";
  #hash = "";
  #called = "";

  constructor(
    private readonly on: ViewsEvents,
    private readonly page: ViewPage = "volume",
  ) {}

  /** `hash`: the address that is shown; `name`: what it is called, by whoever has sent it. */
  show(logdir: string, hash: string, name = ""): void {
    if (logdir === this.#logdir && hash === this.#hash) return;
    this.#logdir = logdir;
    this.#hash = hash;
    const views = savedViews(logdir, this.page);
    this.#fill(views);
    const own = views.some((view) => view.hash === hash);
    this.#called = name;
    this.#name.placeholder = name || "Name of this view";
    put(
      this.#said,
      name && !own ? `This is the view “${name}” of somebody else: save it to keep it here.` : null,
    );
  }

  #save(): void {
    const name =
      nameOf(this.#name.value || this.#called) || `View ${savedViews(this.#logdir, this.page).length + 1}`;
    const hash = this.on.address(name);
    this.#fill(saveView(this.#logdir, { name, hash }, this.page));
    this.#name.value = "";
    this.on.open(hash);
  }

  #fill(views: readonly SavedView[]): void {
    const row = ({ name, hash }: SavedView): HTMLElement =>
      h(
        "li",
        {},
        h("a", { href: hash, "aria-current": hash === this.#hash ? "true" : null }, name),
        this.#button(`Copy the link of ${name}`, "Copy link", () => void this.#copy(name, hash)),
        this.#button(`Forget ${name}`, "×", () => this.#fill(forgetView(this.#logdir, name, this.page))),
      );
    refill(this.#list, ...views.map(row));
  }

  #button = (label: string, text: string, act: () => void): HTMLElement =>
    h("button", { type: "button", class: "link-button", "aria-label": label, onclick: act }, text);

  async #copy(name: string, hash: string): Promise<void> {
    const link = new URL(hash, location.href).href;
    try {
      await navigator.clipboard.writeText(link);
      put(this.#said, `The link of “${name}” is copied.`);
    } catch {
      // Pages that are not secure, and files, may not write to the clipboard: it is shown instead, chosen for copying.
      const field = h("input", {
        type: "text",
        readonly: true,
        value: link,
        "aria-label": `Link of ${name}`,
      });
      put(this.#said, field);
      field.select();
    }
  }
}
