// How the app is built for exported pages: one classic script without imports, once with and once without three.js.
import { svelte } from "@sveltejs/vite-plugin-svelte";
import { defineConfig, type Plugin } from "vite";

const SCENES = ["./embedding", "./volume"];
/** What no exported page holds. */
const SERVED_ONLY = ["./text", "./mesh", "./audio", "./hparams", "./graph"];
const LEFT_OUT = "\0left-out";

/** Leave views out. Those that draw in three dimensions need three.js, which is most of the script. */
const without = (views: readonly string[]): Plugin => ({
  name: "without-views",
  enforce: "pre",
  resolveId: (id, importer) =>
    views.includes(id) && importer?.endsWith("/views/registry.ts") ? LEFT_OUT : undefined,
  load: (id) =>
    id === LEFT_OUT
      ? "export const mount = () => { throw new Error('this page was exported without this view'); };"
      : undefined,
});

export default defineConfig(({ mode }) => ({
  plugins: [svelte(), without(mode === "scenes" ? SERVED_ONLY : [...SCENES, ...SERVED_ONLY])],
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
