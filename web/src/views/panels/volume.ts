// Beside the volume: the chosen voxel, the scale, the opacity curve, the order, the clipping box and saved views.
import { h, put } from "../../lib/dom";
import { hiddenTable } from "../../lib/frame";
import { orderData, permutationOf } from "../../lib/order";
import type { Change, Route } from "../../lib/route";
import type { PictureCache } from "../../lib/sheet";
import { formatTransfer } from "../../lib/transfer";
import type { VolumeData } from "../../lib/volumedata";
import { CHANNEL_COLUMNS, channelRows } from "../../lib/volumefiles";
import { clipOf, clipText, type Position, type VolumeLook } from "../../lib/volumelook";
import { histogram, type Voxels } from "../../lib/voxels";
import type { Source } from "../../source/source";
import { OrderPanel } from "./order";
import { type Sides, VolumeClip } from "./volumeclip";
import { VolumeReading } from "./volumereading";
import { VolumeScale } from "./volumescale";
import { channelCells } from "./volumetable";
import { TransferEditor } from "./volumetransfer";
import { VolumeViews } from "./volumeviews";

const MOST_ROWS = 512;

export interface PanelEvents {
  readonly set: (change: Change) => void;
  /** The address of what is seen as a view of that name. */
  readonly address: (name: string) => string;
}

export interface PanelShown {
  readonly data: VolumeData;
  readonly order: readonly number[];
  readonly voxels: Voxels;
  readonly look: VolumeLook;
  readonly at: Position;
  readonly route: Route;
  readonly logdir: string;
  readonly hash: string;
  readonly links: readonly (readonly [string, string])[];
  /** Why the scale is what it is, where a film has fixed it. */
  readonly fixed: string;
  /** Whether there is a scene that uses opacity and the clipping box. */
  readonly scene: boolean;
}

export class VolumePanel {
  readonly reading: VolumeReading;
  readonly #scale: VolumeScale;
  readonly #transfer: TransferEditor;
  readonly #order = new OrderPanel();
  readonly #clip: VolumeClip;
  readonly #views: VolumeViews;
  readonly #table = h("div");
  readonly el: HTMLElement;
  #ordered = "";
  #binned = "";
  #bins: Float64Array = new Float64Array(256);
  #sides: Sides = [1, 1, 1];
  #signed = false;

  constructor(
    source: Source,
    pictures: PictureCache,
    private readonly on: PanelEvents,
  ) {
    this.reading = new VolumeReading(source, pictures);
    this.#scale = new VolumeScale(on.set);
    this.#transfer = new TransferEditor({
      change: (points) => {
        const text = formatTransfer(points, this.#signed);
        on.set({ tf: text === "ramp" ? null : text, threshold: null });
      },
      log: (log) => on.set({ log: log ? null : 0 }),
    });
    this.#clip = new VolumeClip((box) => on.set({ box: clipText(box, this.#sides) }));
    this.#views = new VolumeViews({
      address: on.address,
      open: (hash) => {
        location.hash = hash;
      },
    });
    this.el = h(
      "aside",
      { class: "volume-panel", "aria-label": "Voxel, scale, opacity, order" },
      this.reading.el,
      this.#transfer.el,
      this.#scale.el,
      this.#order.el,
      this.#clip.el,
      this.#views.el,
      this.#table,
    );
  }

  show(shown: PanelShown): void {
    const { data, order, voxels, look, at, route, scene } = shown;
    const channel = order[at.place];
    this.reading.open(data);
    this.reading.show([channel, at.row, at.column], at.place, shown.links);
    this.#scale.show(data, look, channel, route.params.clip, shown.fixed);
    this.#signed = look.shown.scale.signed;
    this.#opacity(shown);
    this.#transfer.el.hidden = this.#clip.el.hidden = !scene;
    this.#sides = [voxels.channels, voxels.height, voxels.width];
    this.#clip.show(clipOf(route, this.#sides), this.#sides);
    this.#views.show(shown.logdir, shown.hash, route.params.name);
    this.#orders(data, order, route.params.order, channel);
  }

  destroy(): void {
    this.reading.destroy();
    this.#order.destroy();
  }

  /** Stack the channels in another order; the chosen one stays chosen. */
  #choose(data: VolumeData, name: string, channel: number): void {
    const orders = orderData(data.record, data.orders, data.maps, name);
    const place = permutationOf(orders, name).indexOf(channel);
    this.on.set({ order: name === data.orderName ? null : name, ch: Math.max(0, place) });
  }

  #opacity({ data, look, route }: PanelShown): void {
    const { shown, map, transfer } = look;
    const key = JSON.stringify([data.run, data.record.id, shown]);
    if (key !== this.#binned) {
      this.#binned = key;
      this.#bins = histogram(data.volume, data.counts, shown);
    }
    const log = route.params.log !== "0";
    this.#transfer.show({ points: transfer, scale: shown.scale, own: shown.own, bins: this.#bins, map, log });
  }

  #orders(data: VolumeData, order: readonly number[], wanted: string | undefined, channel: number): void {
    const orders = orderData(data.record, data.orders, data.maps, wanted);
    this.#order.show(orders, (name) => this.#choose(data, name, channel));
    const key = JSON.stringify([data.run, data.record.id, orders.current]);
    if (key === this.#ordered) return;
    this.#ordered = key;
    const rows = channelRows(data, order.slice(0, MOST_ROWS)).map(channelCells);
    put(this.#table, hiddenTable("Feature maps", CHANNEL_COLUMNS, rows));
  }
}
