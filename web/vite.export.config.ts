// How the app is built for exported pages: one classic script without imports, once with and once without three.js.
import { svelte } from "@sveltejs/vite-plugin-svelte";
import { defineConfig, type Plugin } from "vite";

const SCENES = ["./embedding", "./volume"];
const LEFT_OUT = "\0left-out";

/** Leave the views out that draw in three dimensions: three.js is most of the script. */
const withoutScenes: Plugin = {
  name: "without-scenes",
  enforce: "pre",
  resolveId: (id, importer) =>
    SCENES.includes(id) && importer?.endsWith("/views/registry.ts") ? LEFT_OUT : undefined,
  load: (id) =>
    id === LEFT_OUT
      ? "export const mount = () => { throw new Error('this page was exported without its scenes'); };"
      : undefined,
};

export default defineConfig(({ mode }) => ({
  plugins: [svelte(), mode === "scenes" ? [] : withoutScenes],
  publicDir: false,
  build: {
    outDir: "../src/convscope/view/static/export",
    emptyOutDir: false,
    target: "es2022",
    assetsInlineLimit: Number.MAX_SAFE_INTEGER,
    cssCodeSplit: false,
    modulePreload: false,
    chunkSizeWarningLimit: 1500,
    rollupOptions: {
      input: "src/export.ts",
      output: {
        format: "iife",
        inlineDynamicImports: true,
        entryFileNames: `${mode}.js`,
        assetFileNames: "style.css",
      },
    },
  },
}));
