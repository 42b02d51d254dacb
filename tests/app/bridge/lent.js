// Files that a page hands to the native module: what a person has chosen in the browser, and what they will save.
import { randomBytes } from "node:crypto";
import { closeSync, createReadStream, createWriteStream, fstatSync, mkdtempSync, openSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Transform } from "node:stream";
import { pipeline } from "node:stream/promises";

/** Bytes of one file from a browser. */
export const MAX_UPLOAD = 64 * 2 ** 30;

/** A file without a name on the disk: it goes with its last descriptor, however this process ends. */
function nameless() {
  const folder = mkdtempSync(join(tmpdir(), "sampan-preview-"));
  try {
    return openSync(join(folder, "file"), "wx+", 0o600);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

function coded(code, message) {
  return Object.assign(new Error(message), { code });
}

/** The files of one page. */
export class Files {
  #byUri = new Map();
  #open = new Map();
  #offer;
  #isOver = false;

  /** `offer({ name, url })` is called once a file is written that is to be saved. */
  constructor(offer) {
    this.#offer = offer;
  }

  /** Takes a file that comes as a stream, of `MAX_UPLOAD` bytes at most or fewer. */
  async take(name, stream, limit = MAX_UPLOAD) {
    const fd = nameless();
    let size = 0;
    const counted = new Transform({
      transform(piece, _, done) {
        size += piece.length;
        done(size > limit ? coded("too_large", `a file may have ${limit} bytes`) : null, piece);
      },
    });
    try {
      await pipeline(stream, counted, createWriteStream("", { fd, autoClose: false }));
      if (this.#isOver) throw coded("io", "the page is gone");
    } catch (error) {
      closeSync(fd);
      throw error;
    }
    return { ...this.#add(name, fd, false), size };
  }

  /** A file to write, which is offered to be saved once that is done. */
  make(name) {
    return this.#add(name, nameless(), true);
  }

  #add(name, fd, saved) {
    const secret = randomBytes(24).toString("base64url");
    const uri = `file://docs/${secret}/${encodeURIComponent(name)}`;
    this.#byUri.set(uri, { name, fd, saved, uses: 0, used: false, url: `/bridge/file/${secret}` });
    return { uri, name };
  }

  /** The page opens a file, under a number of its own. */
  open(number, uri) {
    const file = this.#byUri.get(uri);
    if (!file || this.#open.has(number)) return;
    // With a position of its own.
    this.#open.set(number, { file, fd: openSync(`/proc/self/fd/${file.fd}`, "r+") });
    file.uses += 1;
  }

  close(number) {
    const opened = this.#open.get(number);
    if (!opened) return;
    this.#open.delete(number);
    closeSync(opened.fd);
    this.#given(opened.file);
  }

  /**
   * Puts the server's descriptors in the place of the page's, in the arguments of a call. Comes to what ends their use by it, told whether it
   * has worked.
   */
  lend(args, paths) {
    const lent = [];
    for (const path of paths) {
      for (const reference of found(args, path)) {
        const opened = this.#open.get(reference.fd);
        if (!opened) throw coded("io", `there is no open file ${reference.fd}`);
        reference.fd = opened.fd;
        opened.file.uses += 1;
        lent.push(opened.file);
      }
    }
    return (worked) => lent.splice(0).forEach((file) => {
      file.used ||= worked;
      this.#given(file);
    });
  }

  /** One use has ended. Who has closed a file that something has written wants it. */
  #given(file) {
    file.uses -= 1;
    if (file.uses === 0 && file.saved && file.used) this.#offer({ name: file.name, url: file.url });
  }

  /** A file's size, name and content, by its address. */
  at(url) {
    const file = [...this.#byUri.values()].find((one) => one.url === url && one.saved);
    if (!file) return undefined;
    const stream = () => createReadStream(`/proc/self/fd/${file.fd}`);
    return { name: file.name, size: fstatSync(file.fd).size, stream };
  }

  /** The page is gone. */
  end() {
    this.#isOver = true;
    for (const { fd } of this.#open.values()) closeSync(fd);
    for (const { fd } of this.#byUri.values()) closeSync(fd);
    this.#open.clear();
    this.#byUri.clear();
  }
}

/** The file references at a path. */
function found(value, [step, ...rest]) {
  if (value === undefined || value === null) return [];
  if (step === undefined) return [value];
  if (step === "*") return Array.isArray(value) ? value.flatMap((one) => found(one, rest)) : [];
  return found(value[step], rest);
}
