// The entry of the viewer's page: the app, asking the server that the page is from.
import { tensorBoard } from "./hosts/tensorboard";
import { show } from "./page";
import { HttpSource } from "./source/http";

const around = tensorBoard();
show(new HttpSource(around?.hidden), around?.options);
