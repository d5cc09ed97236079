// Beside the pictures of a channel: what it does over the whole data set, in numbers and bars.

import { type Child, h, s } from "../../lib/dom";
import { number, percent, plural, tick } from "../../lib/format";
import { dot, facts } from "../../lib/frame";
import { ruleText } from "../../lib/overview";
import type { Theme } from "../../lib/palette";
import { binWith, scoreBins } from "../../lib/scorebins";
import { labelCounts } from "../../lib/topk";
import { ranksOf, type TopKData } from "../../lib/topkdata";
import type { ChannelDetail } from "../../lib/topkdetail";
import { selectivityText, wayFacts } from "../../lib/topkpage";

const BARS_WIDTH = 248;
const BARS_HEIGHT = 72;

export const block = (title: string, ...content: Child[]): HTMLElement =>
  h("section", { class: "block", "aria-label": title }, h("h3", {}, title), ...content);

export function statistics(data: TopKData, channel: number, detail: ChannelDetail): HTMLElement {
  const deviation = Math.sqrt(Math.max(0, detail.variance));
  return block(
    "Over the data set",
    facts([
      { name: "max", value: number(data.max[channel]) },
      { name: "mean", value: number(detail.mean) },
      { name: "standard deviation", value: number(deviation) },
      { name: "positions above 0", value: percent(data.positive[channel]) },
    ]),
    data.positive[channel] > 0
      ? null
      : h("p", { class: "muted" }, "Dead: at no position of any image was it above 0."),
  );
}

/** How many images have which score, on a logarithmic scale; where its pictures are is marked. */
export function scores(
  data: TopKData,
  channel: number,
  { histogram, value }: ChannelDetail,
): HTMLElement | null {
  const bins = histogram && data.edges ? scoreBins(histogram, data.edges) : [];
  if (!bins.length) return null;
  const top = Math.log1p(Math.max(...bins.map(({ count: n }) => n)));
  const width = BARS_WIDTH / bins.length;
  const last = ranksOf(data, channel).at(-1);
  const first = last === undefined ? bins.length : binWith(bins, value[last]);
  const bars = bins.map(({ low, high, count: n }, bin) => {
    const height = (BARS_HEIGHT * Math.log1p(n)) / top;
    return s(
      "rect",
      {
        x: bin * width + 0.5,
        width: Math.max(1, width - 1),
        y: BARS_HEIGHT - height,
        height,
        rx: 0.8,
        class: bin >= first ? "top" : "",
      },
      s("title", {}, `${number(low, 3)} … ${number(high, 3)}: ${plural(n, "image")}`),
    );
  });
  const [low, high] = [bins[0].low, bins[bins.length - 1].high];
  const label = `Histogram of the scores of channel ${channel} from ${number(low)} to ${number(high)}`;
  return block(
    "Scores of all images",
    h(
      "div",
      { class: "bars" },
      s("svg", { viewBox: `0 0 ${BARS_WIDTH} ${BARS_HEIGHT}`, role: "img", "aria-label": label }, ...bars),
      h("div", { class: "bar-ends num" }, h("span", {}, tick(low)), h("span", {}, tick(high))),
    ),
    h(
      "p",
      { class: "muted" },
      `Both axes logarithmic; in full colour from the score of the last of its ${data.k} pictures on.`,
    ),
  );
}

/** The classes of the pictures that are shown. */
export function pictureClasses(data: TopKData, channel: number, theme: Theme): HTMLElement | null {
  if (!data.label) return null;
  const rows = [...labelCounts(data.label, channel, data.k)].sort((a, b) => b[1] - a[1]);
  if (!rows.length) return null;
  const bars = rows.map(([label, n]) => ({ label, share: n / data.k, text: String(n) }));
  return block(`Classes of the ${data.k}`, classBars(data, bars, theme));
}

/** How much more the channel answers to one class than to the others, over all images. */
export function selectivity(
  data: TopKData,
  channel: number,
  { classTop, classMean }: ChannelDetail,
  theme: Theme,
): HTMLElement | null {
  const value = data.selectivity?.[channel] ?? Number.NaN;
  if (Number.isNaN(value) || !classTop || !classMean) return null;
  const rows = Array.from(classTop, (label, i) => ({ label, mean: classMean[i] })).filter(
    ({ label, mean }) => label >= 0 && Number.isFinite(mean),
  );
  const most = Math.max(...rows.map(({ mean }) => mean), Number.MIN_VALUE);
  const bars = rows.map(({ label, mean }) => ({
    label,
    share: Math.max(0, mean / most),
    text: number(mean, 3),
  }));
  return block(
    "Class selectivity",
    h(
      "p",
      { class: "figure-line" },
      h("b", { class: "num" }, number(value, 2)),
      h("span", { class: "muted" }, ` ${selectivityText(value)}`),
    ),
    classBars(data, bars, theme),
    h("p", { class: "muted" }, "Mean score of all images of a class, the largest first."),
  );
}

interface ClassBar {
  readonly label: number;
  readonly share: number;
  readonly text: string;
}

const classBars = (data: TopKData, bars: readonly ClassBar[], theme: Theme): HTMLElement =>
  h(
    "ul",
    { class: "class-list" },
    ...bars.map(({ label, share, text }) => {
      const colour = data.classColour(label, theme);
      return h(
        "li",
        {},
        dot(colour),
        h("span", { title: data.className(label) }, data.className(label)),
        h("i", { style: { width: `${60 * share}px`, background: colour } }),
        h("b", { class: "num" }, text),
      );
    }),
  );

/** How the projections were made, and how to read them. */
export function reports(data: TopKData): HTMLElement | null {
  if (!data.rules.length) return null;
  const { engine, mismatches } = data;
  const checked =
    mismatches > 0
      ? `${plural(mismatches, "recomputed activation")} of the layer ${mismatches === 1 ? "differs" : "differ"} from what the search recorded.`
      : "All recomputed activations of the layer equal those of the search.";
  return block(
    "How to read a projection",
    h(
      "p",
      { class: "muted" },
      "It shows what in this image reached the channel: mid-grey is zero. Where it is, is reliable; that it is special to this channel, less so the deeper the layer: its specificity says how much.",
    ),
    facts([
      ...wayFacts(data),
      ...data.rules.map(({ name, report }) => ({ name: ruleText(name), value: report || "–" })),
    ]),
    h("p", { class: "muted" }, [sentence(engine), checked].filter(Boolean).join(" ")),
  );
}

/** With a full stop at its end. */
const sentence = (text: string): string => (text && !/[.!?]$/.test(text) ? `${text}.` : text);
