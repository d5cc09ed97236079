// The entry of the viewer's page: the app, asking the server that the page is from.
import { show } from "./page";
import { HttpSource } from "./source/http";

show(new HttpSource());
