// What the volume page saves: its pictures, the table of channels, and the numbers themselves.
import type { VolumeScene } from "../../gl/volumescene";
import { context2d, h } from "../../lib/dom";
import { download, pngOf, type SaveItem } from "../../lib/download";
import type { VolumeData } from "../../lib/volumedata";
import { npyOf, nrrdOf, stackedValues } from "../../lib/volumefiles";
import type { VolumeSlices } from "./volumeslices";
import { saveTable } from "./volumetable";

export interface SaveFrom {
  readonly shown: () => { readonly data: VolumeData; readonly order: readonly number[] } | undefined;
  readonly scene: () => VolumeScene | undefined;
  readonly slices: () => VolumeSlices;
}

const WIDTH = 1600;
const HEIGHT = 1200;

export function saveItems({ shown, scene, slices }: SaveFrom): SaveItem[] {
  const here = (): { data: VolumeData; order: readonly number[]; tag: string } => {
    const now = shown();
    if (!now) throw new Error("The volume is not here yet.");
    return { ...now, tag: now.data.record.tag };
  };
  const shape = ({ volume }: VolumeData): number[] => [volume.channels, volume.height, volume.width];
  return [
    {
      label: "PNG of the 3-D view",
      save: async () => download(`${here().tag}-volume.png`, await view(scene())),
    },
    {
      label: "PNG of the slices",
      save: async () => download(`${here().tag}-slices.png`, await pngOf(slices().picture("#ffffff"))),
    },
    {
      label: "CSV of the channels",
      save: () => {
        const { data, order } = here();
        saveTable(data, order);
      },
    },
    {
      label: "NPY, float32, channels as in the network",
      save: async () => {
        const { data, tag } = here();
        const index = Array.from(data.order.keys());
        download(`${tag}.npy`, npyOf(await stackedValues(data, index), shape(data)));
      },
    },
    {
      label: "NRRD, float32, channels as stacked here",
      save: async () => {
        const { data, order, tag } = here();
        download(`${tag}.nrrd`, nrrdOf(await stackedValues(data, order), shape(data)));
      },
    },
  ];
}

async function view(scene: VolumeScene | undefined): Promise<Blob> {
  if (!scene) throw new Error("There is no 3-D view here.");
  const picture = await scene.capture(WIDTH, HEIGHT);
  const canvas = h("canvas", { width: WIDTH, height: HEIGHT });
  const context = context2d(canvas);
  if (picture instanceof ImageData) context.putImageData(picture, 0, 0);
  else context.drawImage(picture, 0, 0);
  return pngOf(canvas);
}
