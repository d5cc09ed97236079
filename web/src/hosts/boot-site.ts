// How a site has the chunks of its program: files beside the page, which are scripts.

globalThis.convscopeChunk = (name) => {
  const script = document.createElement("script");
  return new Promise<void>((done, fail) => {
    script.onload = () => done();
    script.onerror = () =>
      fail(new Error(`The site has no file program/${name}; it may not be whole: copy it again.`));
    script.src = `program/${name}`;
    document.head.append(script);
  }).finally(() => script.remove());
};

export {};
