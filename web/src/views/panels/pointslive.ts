// A projection that forms while one looks: what it is to be made with, its course, and how to pause, change and keep it.
import { h, put, s } from "../../lib/dom";
import { count, number } from "../../lib/format";
import { isAbort, messageOf } from "../../lib/frame";
import type { LiveFrame, LiveStatus, RecordMeta, RunInfo, Source } from "../../source/source";
import type { ViewState } from "../view";
import type { ShownFrame } from "./pointhead";
import { ProjectForm } from "./projectform";

export interface LiveHost {
  /** Show where the points are now: x, y, z of each, and whether all lie in a plane. */
  readonly place: (points: Float32Array, flat: boolean, status: LiveStatus) => void;
  /** What is shown now: x, y, z of each point; empty where nothing is. */
  readonly shown: () => Float32Array;
  /** The projection has been written into the run, under this tag. */
  readonly kept: (tag: string) => void;
  /** What is recorded is to be shown again. */
  readonly left: () => void;
}

const STATES: Readonly<Record<LiveStatus["state"], string>> = {
  starting: "Starting",
  running: "Running",
  paused: "Paused",
  done: "Done",
  stopped: "Stopped",
  failed: "Failed",
};
/** So long a setting has to stand still before it is sent. */
const SETTLED_MS = 250;
const [WIDTH, HEIGHT] = [216, 40];

/** Hidden where the source computes nothing with an embedding's vectors. */
export class LivePanel {
  readonly el = h("section", {
    class: "block points-live",
    "aria-label": "Project now",
    "data-testid": "live",
    hidden: true,
  });
  readonly #said = h("p", { class: "live-said num", role: "status", "data-testid": "live-said" });
  readonly #spark = h("div", { class: "live-spark" });
  readonly #buttons = h("div", { class: "live-buttons" });
  readonly #back = h(
    "button",
    { type: "button", class: "link-button", hidden: true, onclick: () => this.#leaveView() },
    "Back to what is recorded",
  );
  readonly #form: ProjectForm;
  #controller = new AbortController();
  #run = "";
  #record: RecordMeta | undefined;
  #key = "";
  #status: LiveStatus | undefined;
  #course: { readonly iteration: number; readonly kl: number }[] = [];
  #first = { iteration: 0, seconds: 0 };
  #unkept = "";
  #error = "";
  #timer = 0;
  #busy = false;
  #placed = false;
  /** Whether something else is shown: the projection waits, or is at its end. */
  #isAway = false;
  #method = "";
  #place = "";

  constructor(
    private readonly source: Source,
    private readonly host: LiveHost,
  ) {
    this.#form = new ProjectForm(
      () => void this.#start(),
      () => this.#changed(),
    );
  }

  /** Offer projections of an embedding; one that forms goes on where it is of the same record. */
  open(run: RunInfo, record: RecordMeta, _state: ViewState): void {
    const part = this.source.embedding;
    this.el.hidden = !part;
    if (!part || (this.#run === run.name && this.#record?.id === record.id)) return;
    this.#leave();
    this.#run = run.name;
    this.#record = record;
    this.#unkept = "";
    this.#form.open(record, []);
    put(
      this.el,
      h("h3", {}, "Project now"),
      this.#said,
      this.#spark,
      this.#buttons,
      this.#back,
      this.#form.el,
    );
    this.#show();
    const { signal } = this.#controller;
    part.options(run.name, record.id, signal).then(
      ({ methods, unkept }) => {
        if (signal.aborted) return;
        this.#unkept = unkept;
        this.#form.open(record, methods);
        this.#show();
      },
      (error: unknown) => this.#fail(error),
    );
  }

  /** What the map shows of it now; nothing where it shows something else. */
  get frame(): ShownFrame | undefined {
    const status = this.#status;
    if (!this.#placed || this.#isAway || !status) return undefined;
    const { iteration, iterations, kl, kept } = status;
    return { iteration, kl: kl ?? Number.NaN, meta: { method: this.#method, iterations, unkept: !kept } };
  }

  /** The address asks for this projection and iteration: another one than before is shown instead of what forms. */
  asked(place: string): void {
    if (place !== this.#place) this.hide();
    this.#place = place;
  }

  /** Something else is to be shown: one that runs is paused, so that it can be continued. */
  hide(): void {
    if (!this.frame) return;
    this.#isAway = true;
    if (this.#status?.state === "running" || this.#status?.state === "starting") void this.#act("pause");
    else this.#show();
  }

  destroy(): void {
    this.#leave();
    this.el.remove();
  }

  /** Forget the projection; the server ends one that nobody follows, and at once the one that is told so. */
  #leave(): void {
    clearTimeout(this.#timer);
    this.#controller.abort();
    this.#controller = new AbortController();
    if (this.#key && this.#live()) this.source.embedding?.act(this.#key, "stop").catch(() => undefined);
    this.#key = "";
    this.#status = undefined;
    this.#course = [];
    this.#error = "";
    this.#busy = false;
    this.#placed = false;
    this.#isAway = false;
  }

  #live(): boolean {
    const state = this.#status?.state ?? "stopped";
    return state !== "stopped" && state !== "failed";
  }

  async #start(): Promise<void> {
    const { embedding } = this.source;
    const record = this.#record;
    if (!embedding || !record || this.#busy) return;
    this.#leave();
    this.#busy = true;
    this.#show();
    const { signal } = this.#controller;
    try {
      const { method, parameters, warm } = this.#form.asked();
      this.#method = method;
      const shown = warm ? this.host.shown() : new Float32Array();
      const ask = { run: this.#run, id: record.id, method, parameters };
      const { key } = await embedding.project(ask, shown.length ? shown : undefined);
      if (signal.aborted) return void embedding.act(key, "stop").catch(() => undefined);
      this.#key = key;
      this.#busy = false;
      await embedding.follow(key, 0, (frame) => this.#take(frame), signal);
      if (!signal.aborted && this.#live()) this.#fail(new Error("The connection ended; start it again."));
    } catch (error) {
      if (!signal.aborted) this.#fail(error);
    }
  }

  #fail(error: unknown): void {
    if (isAbort(error)) return;
    this.#busy = false;
    this.#key = "";
    this.#status = undefined;
    this.#error = messageOf(error);
    this.#show();
  }

  #take({ points, ...status }: LiveFrame): void {
    if (!this.#key) return;
    this.#status = status;
    if (!this.#course.length) this.#first = { iteration: status.iteration, seconds: status.seconds };
    if (points && status.kl !== null && this.#course.at(-1)?.iteration !== status.iteration)
      this.#course.push({ iteration: status.iteration, kl: status.kl });
    if (points && !this.#isAway) {
      this.#placed = true;
      this.host.place(points, status.dimensions === 2, status);
    }
    this.#show();
  }

  #changed(): void {
    clearTimeout(this.#timer);
    if (!this.#live() || this.#status?.iterations === 0) return;
    this.#timer = window.setTimeout(() => void this.#act("change", this.#form.changes()), SETTLED_MS);
  }

  async #act(
    action: "pause" | "continue" | "stop" | "change" | "keep",
    parameters: Readonly<Record<string, number | string>> = {},
  ): Promise<void> {
    const key = this.#key;
    if (!key || !this.source.embedding) return;
    const keeping = action === "keep";
    if (keeping) this.#busy = true;
    this.#error = "";
    this.#show();
    try {
      const status = await this.source.embedding.act(key, action, parameters);
      if (key !== this.#key) return;
      if (keeping) this.#busy = false;
      if (status.number >= (this.#status?.number ?? 0)) this.#status = status;
      // One that runs is looked at further.
      if (keeping && status.state !== "running") this.host.kept(status.kept);
    } catch (error) {
      if (key !== this.#key || isAbort(error)) return;
      this.#busy = false;
      this.#error = messageOf(error);
    }
    this.#show();
  }

  #show(): void {
    const state = this.#status?.state;
    const live = this.#live();
    this.el.dataset.state = this.#busy && !live ? "starting" : (state ?? "");
    this.#form.name = live ? "Start anew" : "Start";
    this.#showButtons(state, live);
    this.#showCourse();
    this.#back.hidden = !this.frame || state === "running" || state === "starting";
    put(this.#said, this.#sentence());
    this.#said.classList.toggle("failed", Boolean(this.#error || this.#status?.error));
  }

  #leaveView(): void {
    this.hide();
    this.host.left();
  }

  #continue(): void {
    this.#isAway = false;
    void this.#act("continue");
  }

  #showButtons(state: LiveStatus["state"] | undefined, live: boolean): void {
    const button = (name: string, on: boolean, act: () => void, title = ""): HTMLButtonElement =>
      h("button", { type: "button", class: "button", disabled: !on, onclick: act, title }, name);
    this.#buttons.hidden = !live;
    const buttons = [
      state === "paused"
        ? button("Continue", true, () => this.#continue())
        : button("Pause", state === "running" || state === "starting", () => void this.#act("pause")),
      button("Stop", live && state !== "done", () => void this.#act("stop")),
      button(
        this.#busy && live ? "Keeping…" : "Keep",
        live && !this.#busy && !this.#unkept && this.#placed,
        () => void this.#act("keep"),
        this.#unkept || "Write this projection and its frames into the run",
      ),
    ];
    const key = JSON.stringify(buttons.map((one) => [one.textContent, one.disabled, one.title]));
    if (this.#buttons.dataset.key === key) return; // the one that has the focus keeps it
    this.#buttons.dataset.key = key;
    const focus = [...this.#buttons.children].indexOf(document.activeElement as Element);
    put(this.#buttons, ...buttons);
    if (focus >= 0)
      (buttons[focus].disabled ? buttons.find((one) => !one.disabled) : buttons[focus])?.focus();
  }

  #sentence(): string {
    const status = this.#status;
    if (this.#error) return this.#error;
    if (!status) return this.#busy ? "Starting…" : "";
    if (status.error) return status.error;
    const parts = [STATES[status.state]];
    if (status.iterations) parts.push(`iteration ${count(status.iteration)} of ${count(status.iterations)}`);
    if (status.kl !== null) parts.push(`KL ${number(status.kl, 3)}`);
    if (status.seconds) parts.push(`${number(status.seconds, 3)} s`);
    const speed = this.#speed(status);
    if (speed && status.state === "running") parts.push(`${speed} points/s`);
    if (status.kept) parts.push(`kept as ${status.kept}`);
    return parts.join(" · ");
  }

  /** How many points are moved a second. */
  #speed({ iteration, seconds }: LiveStatus): string {
    const done = iteration - this.#first.iteration;
    const points = Number(this.#record?.arrays.vector?.shape[0] ?? 0);
    const speed = (done * points) / (seconds - this.#first.seconds);
    if (!(speed > 0) || !Number.isFinite(speed)) return "";
    return speed >= 1e6
      ? `${number(speed / 1e6, 2)} M`
      : speed >= 1e4
        ? `${Math.round(speed / 1e3)} k`
        : count(Math.round(speed));
  }

  #showCourse(): void {
    const values = this.#course;
    if (values.length < 2) return put(this.#spark);
    const [low, high] = [Math.min(...values.map(({ kl }) => kl)), Math.max(...values.map(({ kl }) => kl))];
    const [from, to] = [values[0], values[values.length - 1]];
    const end = Math.max(to.iteration, this.#status?.iterations ?? 0);
    const x = (iteration: number): number =>
      (WIDTH * (iteration - from.iteration)) / (end - from.iteration || 1);
    const y = (kl: number): number => HEIGHT - 2 - ((HEIGHT - 4) * (kl - low)) / (high - low || 1);
    const points = values
      .map(({ iteration, kl }) => `${x(iteration).toFixed(1)},${y(kl).toFixed(1)}`)
      .join(" ");
    const label = `KL divergence from ${number(from.kl)} to ${number(to.kl)}`;
    put(
      this.#spark,
      s(
        "svg",
        {
          class: "spark",
          viewBox: `0 0 ${WIDTH} ${HEIGHT}`,
          role: "img",
          "aria-label": label,
          preserveAspectRatio: "none",
        },
        s("polyline", { points }),
      ),
    );
  }
}
