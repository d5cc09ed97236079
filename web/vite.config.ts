// How the app is built: one relative bundle inside the Python package; three.js in a chunk of its own.
import { svelte } from "@sveltejs/vite-plugin-svelte";
import { defineConfig, type HtmlTagDescriptor, type Plugin } from "vite";

/** Ask for what the first frame needs with the page, not after its script has run: the fonts, and what there is to show. */
const early = (): Plugin => ({
  name: "early",
  transformIndexHtml: {
    order: "post",
    handler(_, { bundle }) {
      const preload = (href: string, as: string): HtmlTagDescriptor => ({
        tag: "link",
        attrs: { rel: "preload", href: `./${href}`, as, crossorigin: "anonymous" },
        injectTo: "head",
      });
      const fonts = Object.keys(bundle ?? {}).filter((name) => name.endsWith(".woff2"));
      return [preload("api/index?since=0", "fetch"), ...fonts.map((name) => preload(name, "font"))];
    },
  },
});

export default defineConfig({
  base: "./",
  plugins: [svelte(), early()],
  build: {
    outDir: "../src/convscope/view/static",
    emptyOutDir: true,
    target: "es2022",
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    chunkSizeWarningLimit: 700,
    rollupOptions: {
      output: {
        manualChunks: (id) => (id.includes("node_modules/three/") ? "three" : undefined),
      },
    },
  },
});
