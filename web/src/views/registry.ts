// The table of views: what the navigation lists and where each one's code is.
import { EVALUATION, NETWORK } from "../lib/catalog";
import type { Mount } from "./view";

export interface ViewEntry {
  /** Name in the address and of the file. */
  readonly name: string;
  readonly title: string;
  /** Kind of result it shows. */
  readonly kind: string;
  /** Whether it shows several runs together. */
  readonly many: boolean;
  /** What one tag of it is. */
  readonly tags: "Tags" | "Layers" | "Volumes" | "Embeddings" | "Networks" | "Searches";
  readonly search: string;
  readonly load: () => Promise<{ readonly mount: Mount }>;
}

export const VIEWS: readonly ViewEntry[] = [
  {
    name: "scalars",
    title: "Scalars",
    kind: "scalar",
    many: true,
    tags: "Tags",
    search: "Filter tags",
    load: () => import("./scalars"),
  },
  {
    name: "histograms",
    title: "Histograms",
    kind: "histogram",
    many: true,
    tags: "Tags",
    search: "Filter tags",
    load: () => import("./histograms"),
  },
  {
    name: "images",
    title: "Images",
    kind: "image",
    many: true,
    tags: "Tags",
    search: "Filter tags",
    load: () => import("./images"),
  },
  {
    name: "audio",
    title: "Audio",
    kind: "audio",
    many: true,
    tags: "Tags",
    search: "Filter tags",
    load: () => import("./audio"),
  },
  {
    name: "text",
    title: "Text",
    kind: "text",
    many: true,
    tags: "Tags",
    search: "Filter tags",
    load: () => import("./text"),
  },
  {
    name: "mesh",
    title: "Meshes",
    kind: "mesh",
    many: true,
    tags: "Tags",
    search: "Filter tags",
    load: () => import("./mesh"),
  },
  {
    name: "hparams",
    title: "Hyper-parameters",
    kind: "hparams",
    many: true,
    tags: "Tags",
    search: "Filter columns",
    load: () => import("./hparams"),
  },
  {
    name: "confusion",
    title: "Confusion",
    kind: "confusion_matrix",
    many: false,
    tags: "Tags",
    search: "Filter classes",
    load: () => import("./confusion"),
  },
  {
    name: "curves",
    title: "PR and ROC",
    kind: EVALUATION,
    many: false,
    tags: "Tags",
    search: "Filter classes",
    load: () => import("./curves"),
  },
  {
    name: "network",
    title: "Network",
    kind: NETWORK,
    many: false,
    tags: "Networks",
    search: "Layer name or kind",
    load: () => import("./network"),
  },
  {
    name: "graph",
    title: "Graph",
    kind: "graph",
    many: false,
    tags: "Networks",
    search: "Node name or operation",
    load: () => import("./graph"),
  },
  {
    name: "filters",
    title: "Filters",
    kind: "filters",
    many: false,
    tags: "Layers",
    search: "Filter number",
    load: () => import("./filters"),
  },
  {
    name: "maps",
    title: "Feature maps",
    kind: "maps",
    many: false,
    tags: "Layers",
    search: "Channel number",
    load: () => import("./maps"),
  },
  {
    name: "layer",
    title: "Layers",
    kind: "topk",
    many: false,
    tags: "Layers",
    search: "Class or channel number",
    load: () => import("./layer"),
  },
  {
    name: "audit",
    title: "Data set",
    kind: "audit",
    many: false,
    tags: "Searches",
    search: "Image name or class",
    load: () => import("./audit"),
  },
  {
    name: "embedding",
    title: "Embedding",
    kind: "embedding",
    many: false,
    tags: "Embeddings",
    search: "Search labels",
    load: () => import("./embedding"),
  },
  {
    name: "gradients",
    title: "Weight gradients",
    kind: "weight_gradients",
    many: false,
    tags: "Layers",
    search: "Filter number",
    load: () => import("./gradients"),
  },
  {
    name: "importance",
    title: "Importance",
    kind: "importance",
    many: false,
    tags: "Layers",
    search: "Class or filter number",
    load: () => import("./importance"),
  },
  {
    name: "ablation",
    title: "Ablation",
    kind: "ablation",
    many: false,
    tags: "Layers",
    search: "Class",
    load: () => import("./ablation"),
  },
  {
    name: "volume",
    title: "Volume",
    kind: "volume",
    many: false,
    tags: "Volumes",
    search: "Channel number",
    load: () => import("./volume"),
  },
];

export const viewNamed = (name: string): ViewEntry => VIEWS.find((view) => view.name === name) ?? VIEWS[0];
