// Categorical colours: Okabe & Ito's colour-blind-safe eight, adjusted for contrast on both themes, and four more.
import { rgb } from "./colour";

export type Theme = "light" | "dark";

const LIGHT = [
  "#0072b2",
  "#d55e00",
  "#009472",
  "#c2609a",
  "#b07e00",
  "#2690c8",
  "#6a5acd",
  "#8c5a2b",
  "#7a8a00",
  "#5f6b7a",
  "#b3273d",
  "#00808a",
];
const DARK = [
  "#4aa8e8",
  "#f28a3c",
  "#2cc79c",
  "#e58fc0",
  "#f0b93a",
  "#86cdf5",
  "#a69cf5",
  "#c99a6b",
  "#c3d04a",
  "#a3b0c0",
  "#f2788a",
  "#45c4cc",
];

/** What the colours are called, in their order. */
export const PALETTE = [
  "Blue",
  "Orange",
  "Green",
  "Pink",
  "Ochre",
  "Sky blue",
  "Violet",
  "Brown",
  "Olive",
  "Grey",
  "Red",
  "Teal",
] as const;

/** The colour of category `index`; categories past the twelfth start again. */
export function categorical(index: number, theme: Theme): string {
  const colours = theme === "dark" ? DARK : LIGHT;
  return index < 0 ? (theme === "dark" ? "#6b7686" : "#8b867e") : colours[index % colours.length];
}

/** The colour of a class: more classes than colours get none, since a colour would not tell them apart. */
export function classColour(label: number, classes: number, theme: Theme): string {
  return categorical(classes > LIGHT.length ? -1 : label, theme);
}

/** The same as three numbers from 0 to 1, for shaders. */
export function classRgb(label: number, classes: number, theme: Theme): [number, number, number] {
  const [r, g, b] = rgb(classColour(label, classes, theme));
  return [r / 255, g / 255, b / 255];
}

export const withAlpha = (hex: string, alpha: number): string => {
  const [r, g, b] = rgb(hex);
  return `rgba(${r}, ${g}, ${b}, ${alpha})`;
};
