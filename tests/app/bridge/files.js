// Files between the browser and the server: what a person chooses goes up, what is written for them comes down.

/** What pickers and `fileIo` do in the preview. */
export function files(link, token) {
  link.onDownload = ({ name, url }) => {
    const anchor = Object.assign(document.createElement("a"), { href: url, download: name });
    document.body.append(anchor);
    anchor.click();
    anchor.remove();
  };

  async function upload(file) {
    const query = new URLSearchParams({ connection: link.hello.connection, name: file.name });
    const answer = await fetch(`/bridge/upload?${query}`, { method: "POST", body: file, headers: { authorization: `Bearer ${token}` } });
    if (!answer.ok) throw Object.assign(new Error(await answer.text()), { code: answer.status === 413 ? "too_large" : "io" });
    return answer.json();
  }

  /** Has a person choose files, and sends them to the server: `{ uri, name, size }` of each; none if they choose none. */
  async function open({ multiple = false, suffixes = [] } = {}) {
    const input = Object.assign(document.createElement("input"), { type: "file", multiple, accept: suffixes.join(",") });
    const chosen = await new Promise((resolve) => {
      input.addEventListener("change", () => resolve([...input.files]), { once: true });
      input.addEventListener("cancel", () => resolve([]), { once: true });
      // A person's, for browsers and tests that look for it.
      input.hidden = true;
      document.body.append(input);
      input.click();
    });
    input.remove();
    const taken = [];
    for (const file of chosen) taken.push(await upload(file));
    return taken;
  }

  /** A file to write: `{ uri, name }`. It is offered to be saved once it was opened, written by a call, and closed. */
  const save = (name) => link.ask({ t: "make", name });

  return { open, save, upload, openSync: (uri) => link.openFile(uri), closeSync: (fd) => link.closeFile(fd) };
}
