// How the app is built for every host but the server: chunks that are classic scripts, and a loader for them.
//
// Pages from file:// cannot load modules, pages without requests and frames of notebooks cannot load anything. So each
// chunk is a script in the form of System.register, which a host brings in its own way (src/hosts/loader.ts).
import { svelte } from "@sveltejs/vite-plugin-svelte";
import { defineConfig, type Plugin, transformWithEsbuild } from "vite";

type Bundle = Parameters<Extract<NonNullable<Plugin["generateBundle"]>, (...all: never[]) => unknown>>[1];

/** Each has src/hosts/NAME.ts, its entry, and src/hosts/boot-NAME.ts: how it brings a chunk. */
const HOSTS = ["page", "site", "frame"];
const VIEW = /\/src\/views\/([^/]+)\.ts$/;

/** A chunk after all that it needs; and what it imports later, but no view. */
function closure(bundle: Bundle, file: string, views: ReadonlySet<string>): string[] {
  const seen = new Set<string>();
  const found: string[] = [];
  const visit = (name: string): void => {
    const chunk = bundle[name];
    if (seen.has(name) || chunk?.type !== "chunk") return;
    seen.add(name);
    for (const needed of chunk.imports) visit(needed);
    found.push(name);
    for (const later of chunk.dynamicImports) if (!views.has(later)) visit(later);
  };
  visit(file);
  return found;
}

/** Scripts as one that runs by itself. */
async function script(read: (file: string) => Promise<string>, files: readonly string[]): Promise<string> {
  const options = { format: "iife", minify: true, target: "es2022", sourcemap: false } as const;
  const made = files.map(async (file) => (await transformWithEsbuild(await read(file), file, options)).code);
  return (await Promise.all(made)).join("");
}

/** Names each chunk in its own text, writes chunks.json and the script with which each host begins. */
const chunks = (): Plugin => ({
  name: "chunks",
  async generateBundle(_, bundle) {
    const entry: Record<string, string> = {};
    const views: Record<string, string> = {};
    const imports: Record<string, readonly string[]> = {};
    for (const [file, chunk] of Object.entries(bundle)) {
      if (chunk.type !== "chunk") continue;
      imports[file] = chunk.imports;
      if (chunk.isEntry) entry[chunk.name] = file;
      const [, view] = VIEW.exec(chunk.facadeModuleId ?? "") ?? [];
      if (chunk.isDynamicEntry && view) views[view] = file;
      const named = chunk.code.replace("System.register([", `System.register(${JSON.stringify(file)},[`);
      if (named === chunk.code) this.error(`${file} is not in the form of System.register`);
      chunk.code = named;
    }
    const all = new Set(Object.values(views));
    const closures = (files: Record<string, string>): Record<string, string[]> =>
      Object.fromEntries(
        Object.entries(files)
          .sort()
          .map(([name, file]) => [name, closure(bundle, file, all)]),
      );
    const source = JSON.stringify(
      { entry, hosts: closures(entry), views: closures(views), imports },
      null,
      1,
    );
    this.emitFile({ type: "asset", fileName: "chunks.json", source: `${source}\n` });
    const read = (file: string): Promise<string> => this.fs.readFile(file, { encoding: "utf8" });
    for (const host of Object.keys(entry)) {
      const text = await script(read, [`src/hosts/boot-${host}.ts`, "src/hosts/loader.ts"]);
      this.emitFile({ type: "asset", fileName: `boot-${host}.js`, source: text });
    }
    const widget = await read("src/hosts/widget.ts"); // runs in a notebook's own page, as a module
    const options = { format: "esm", minify: true, target: "es2022", sourcemap: false } as const;
    const { code } = await transformWithEsbuild(widget, "widget.ts", options);
    this.emitFile({ type: "asset", fileName: "widget.js", source: code });
  },
});

export default defineConfig({
  base: "./",
  plugins: [svelte(), chunks()],
  publicDir: false,
  build: {
    outDir: "../src/convscope/view/static/export",
    emptyOutDir: true,
    target: "es2022",
    assetsInlineLimit: Number.MAX_SAFE_INTEGER,
    cssCodeSplit: false,
    modulePreload: false,
    chunkSizeWarningLimit: 700,
    rollupOptions: {
      input: Object.fromEntries(HOSTS.map((host) => [host, `src/hosts/${host}.ts`])),
      output: {
        format: "system",
        systemNullSetters: true,
        entryFileNames: "[name]-[hash].js",
        chunkFileNames: "[name]-[hash].js",
        assetFileNames: "style.css",
        manualChunks: (id) =>
          id.includes("node_modules/three/") ? "three" : id.endsWith("/src/page.ts") ? "app" : undefined,
      },
    },
  },
});
