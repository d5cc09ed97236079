// The entry of an exported page: the app, asking the page itself.
import { show } from "./page";
import { PageBlocks } from "./source/blocks";
import { InlineSource } from "./source/inline";

const manifest = Number(document.currentScript?.dataset.manifest);
show(new InlineSource(new PageBlocks(document), manifest));
