// The entry of a page that is one file: the app, asking the page itself.
import { show } from "../page";
import { PageBlocks } from "../source/blocks";
import { InlineSource } from "../source/inline";

const manifest = Number(document.getElementById("app")?.dataset.manifest);
show(new InlineSource(new PageBlocks(document), manifest));

/** Say that the file was cut off on its way, as its last element is missing: absent pictures say nothing themselves. */
function checkEnd(): void {
  if (document.getElementById("end")) return;
  const said = document.createElement("p");
  said.className = "cut-off";
  said.role = "alert";
  said.textContent = "This file was cut off on its way: pictures and numbers are missing. Get it again.";
  document.body.append(said);
}

if (document.readyState === "loading") addEventListener("DOMContentLoaded", checkEnd);
else checkEnd();
