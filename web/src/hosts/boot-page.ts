// How a page that is one file has the chunks of its program: packed, in script elements that no browser runs.

/** The text of a gzip file that is written in base64. */
async function unpacked(packed: string): Promise<string> {
  if (typeof DecompressionStream === "undefined")
    throw new Error("This browser is too old to unpack it; use one from 2023 or later.");
  const bytes = Uint8Array.from(atob(packed), (letter) => letter.charCodeAt(0));
  return new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"))).text();
}

globalThis.convscopeChunk = async (name) => {
  const element = document.getElementById(`chunk-${name}`);
  if (!(element instanceof HTMLScriptElement))
    throw new Error(`this page was exported without a part of the program: ${name}`);
  const script = document.createElement("script");
  script.text = await unpacked(element.text);
  document.head.append(script); // runs at once: the policy of the page has its hash
  script.remove();
};

export {};
