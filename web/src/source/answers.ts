// What the numbers of a curve, a series of histograms or of pictures mean; every host sends them as the same arrays.
import { type Histograms, type Images, type Scalars, SourceError, type Tensor, type Tensors } from "./source";

function need(arrays: Tensors, name: string): Tensor["data"] {
  const array = arrays[name];
  if (!array) throw new SourceError(`the answer has no array ${name}`);
  return array.data;
}

const times = (arrays: Tensors): { step: Tensor["data"]; wallTime: Tensor["data"] } => ({
  step: need(arrays, "step"),
  wallTime: need(arrays, "wall_time"),
});

export const scalarsOf = (arrays: Tensors): Scalars => ({ ...times(arrays), value: need(arrays, "value") });

export const imagesOf = (arrays: Tensors): Images => ({
  ...times(arrays),
  size: need(arrays, "size"),
  animated: need(arrays, "animated"),
  clipped: need(arrays, "clipped"),
});

export const histogramsOf = (arrays: Tensors): Histograms => ({
  ...times(arrays),
  stats: need(arrays, "stats"),
  offset: need(arrays, "offset"),
  limit: need(arrays, "limit"),
  count: need(arrays, "count"),
  special: need(arrays, "special"),
});
