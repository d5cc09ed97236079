// The app with its styles, for any host.
import "uplot/dist/uPlot.min.css";
import "./styles/fonts.css";
import "./styles/tokens.css";
import "./styles/base.css";
import "./styles/shell.css";
import "./styles/runs.css";
import "./styles/controls.css";
import "./styles/help.css";
import "./styles/notices.css";
import "./styles/view.css";
import "./styles/classes.css";
import "./styles/curves.css";
import "./styles/histograms.css";
import "./styles/save.css";
import "./styles/scalars.css";
import "./styles/grids.css";
import "./styles/filters.css";
import "./styles/channel.css";
import "./styles/scenes.css";
import "./styles/volume.css";
import "./styles/order.css";
import "./styles/player.css";
import "./styles/network.css";
import "./styles/searched.css";
import "./styles/audit.css";
import "./styles/maps.css";
import "./styles/studies.css";
import "./styles/hparams.css";
import "./styles/live.css";
import "./styles/points.css";
import "./styles/pointslive.css";
import "./styles/pointstime.css";
import "./styles/mesh.css";
import "./styles/text.css";
import "./styles/media.css";
import { mount } from "svelte";
import App from "./App.svelte";
import type { HostOptions } from "./lib/host";
import type { Source } from "./source/source";

/** Put the app on the page. */
export function show(source: Source, options: HostOptions = {}): void {
  const target = document.getElementById("app");
  if (!target) throw new Error("the page has no element #app");
  mount(App, { target, props: { source, options } });
}
