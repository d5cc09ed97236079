// How a notebook's frame has the chunks of its program: it asks the page around it, and adds them as scripts.

type Take = (text: string) => void;

const waiting = new Map<string, readonly [Take, (error: Error) => void]>();
const { program } = globalThis.convscopeFrame;
const { nonce } = document.currentScript ?? {};

program.onmessage = ({ data }: MessageEvent<{ name: string; text?: string; error?: string }>) => {
  const [take, fail] = waiting.get(data.name) ?? [];
  waiting.delete(data.name);
  if (data.text === undefined) fail?.(new Error(data.error));
  else take?.(data.text);
};

globalThis.convscopeChunk = async (name) => {
  const text = await new Promise<string>((take, fail) => {
    waiting.set(name, [take, fail]);
    program.postMessage(name);
  });
  const script = document.createElement("script");
  if (nonce) script.nonce = nonce; // the policy of the frame lets no other script run
  script.text = text;
  document.head.append(script);
  script.remove();
};

export {};
