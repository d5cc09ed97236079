// The entry: styles, then the shell.
import "uplot/dist/uPlot.min.css";
import "./styles/fonts.css";
import "./styles/tokens.css";
import "./styles/base.css";
import "./styles/shell.css";
import "./styles/controls.css";
import "./styles/help.css";
import "./styles/view.css";
import "./styles/classes.css";
import "./styles/curves.css";
import "./styles/grids.css";
import "./styles/filters.css";
import "./styles/channel.css";
import "./styles/scenes.css";
import "./styles/network.css";
import "./styles/maps.css";
import "./styles/live.css";
import { mount } from "svelte";
import App from "./App.svelte";
import { HttpSource } from "./source/http";

const target = document.getElementById("app");
if (!target) throw new Error("index.html has no element #app");
mount(App, { target, props: { source: new HttpSource() } });
