// The entry of a site: its front page, which is there already, and the app where the address names a place in it.
import { choose } from "../lib/catalog";
import { recalled } from "../lib/remember";
import type { Route } from "../lib/route";
import { show } from "../page";
import { DataFiles, runScript } from "../source/fileblocks";
import { SiteSource } from "../source/site";
import type { Index } from "../source/source";
import { viewNamed } from "../views/registry";

const app = document.getElementById("app");
const front = document.querySelector<HTMLElement>(".landing");
const root = document.documentElement;
const { title } = document;
const source = new SiteSource(new DataFiles((path) => runScript(document, path)), app?.dataset.index ?? "");
let index: Index | undefined;
let started = false;

/** The page that is made for a place: that of a channel, a layer, or a network. */
function share({ view, params }: Route): string | undefined {
  if (!index || (view !== "layer" && view !== "network")) return undefined;
  const { run, tag } = choose(index, viewNamed(view).kind, params);
  if (!run) return undefined;
  if (view === "network") return source.page(run.name);
  const channel = /^\d+$/.test(params.ch ?? "") ? Number(params.ch) : undefined;
  return source.page(run.name, tag, channel);
}

function turn(): void {
  if (!app || !front) return;
  const isFront = location.hash.length <= "#/".length;
  front.hidden = !isFront;
  app.hidden = isFront;
  if (isFront) {
    document.title = title;
    root.dataset.ready = "true";
  } else if (!started) {
    started = true;
    delete root.dataset.ready;
    void start();
  }
}

async function start(): Promise<void> {
  try {
    index = await source.index();
  } catch {
    // The app asks again, and says what is wrong.
  }
  show(source, { share });
}

const theme = recalled("convscope-theme");
if (theme) root.dataset.theme = theme;
for (const link of document.querySelectorAll<HTMLAnchorElement>("a[data-opens]"))
  link.setAttribute("href", link.dataset.opens ?? "");
addEventListener("hashchange", turn);
turn();
