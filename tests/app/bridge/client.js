// The page's end of the bridge: one WebSocket. In the browser and in Node.js.
import { FRAME, MAX_MESSAGE, decode, encode, thrown } from "./wire.js";

const GONE = { code: "preview_gone", message: "the preview's server is gone: start it again and reload the page" };
const TOO_LONG = { code: "invalid", message: `a message of the preview has at most ${MAX_MESSAGE} bytes` };

export class Link {
  #socket;
  #asked = new Map();
  #listeners = new Map();
  #jobs = new Map();
  #frames = new Map();
  #last = 0;
  #beginNow;
  #unused = new FinalizationRegistry((job) => this.#post({ t: "forget", job }));
  /** Messages that were sent, which a job that goes another way waits for. */
  sent = 0;
  /** What the server says of itself and how it was started. */
  hello;
  /** Settles once the server is gone. */
  closed;
  /** Called with `{ name, url }` of a file that can be saved. */
  onDownload = () => {};
  /** Called with what a call without an answer has failed by. */
  onFault = (path, error) => console.error(path, error);

  /**
   * `socket` is a WebSocket that is being opened. `beginNow(link, message)` begins a job and gives its id before it returns; without it a job
   * has its id a moment later.
   */
  static open(socket, beginNow) {
    const link = new Link();
    link.#socket = socket;
    link.#beginNow = beginNow;
    socket.binaryType = "arraybuffer";
    let greeted;
    let end;
    const opened = new Promise((resolve, reject) => {
      greeted = (hello) => {
        link.hello = hello;
        resolve(link);
      };
      end = reject;
    });
    link.closed = new Promise((resolve) => {
      const over = () => {
        link.#over();
        end(thrown(GONE));
        resolve();
      };
      socket.addEventListener("close", over);
      socket.addEventListener("error", over);
    });
    socket.addEventListener("message", ({ data }) => link.#heard(data, greeted));
    return opened;
  }

  close() {
    this.#socket.close();
  }

  call(path, args) {
    return this.ask({ t: "call", path, args });
  }

  attach(path, args) {
    const job = this.#next();
    return this.ask({ t: "attach", job, path, args }).then((id) => this.#handle(job, id));
  }

  begin(path, args) {
    const job = this.#next();
    const message = { t: "job", job, path, args };
    if (this.#beginNow && this.#isOpen()) return this.#handle(job, this.#beginNow(this, message));
    const handle = this.#handle(job, "");
    this.#jobs.set(job, new WeakRef(handle));
    this.#post(message);
    return handle;
  }

  send(path, args) {
    this.#post({ t: "send", path, args });
  }

  subscribe(kind, callback) {
    const on = this.#next();
    this.#listeners.set(on, callback);
    this.#post({ t: "on", on, kind });
    return () => {
      if (this.#listeners.delete(on)) this.#post({ t: "off", on });
    };
  }

  /** A surface: `draw(frame)` is called with the bytes of each of its frames, and is ready for the next when it returns. */
  surface(draw) {
    // Ids are told apart by the connection, as the server has surfaces of others, too.
    const number = this.hello.surfaces + this.#next();
    this.#frames.set(number, draw);
    this.#post({ t: "surface", surface: number });
    const destroy = () => {
      if (this.#frames.delete(number)) this.#post({ t: "destroy", surface: number });
    };
    return { id: String(number), destroy };
  }

  /** Opens a file of the server's, once more at each call. */
  openFile(uri) {
    const fd = this.#next();
    this.#post({ t: "open", fd, uri });
    return fd;
  }

  closeFile(fd) {
    this.#post({ t: "close", fd });
  }

  /** Sends a message, and comes to its answer. */
  ask(message, onProgress) {
    const id = this.#next();
    return new Promise((resolve, reject) => {
      this.#asked.set(id, { resolve, reject, onProgress });
      try {
        this.#post({ ...message, id });
        if (!this.#isOpen()) throw thrown(GONE);
      } catch (error) {
        this.#asked.delete(id);
        reject(error);
      }
    });
  }

  #next() {
    this.#last += 1;
    return this.#last;
  }

  #isOpen() {
    return this.#socket.readyState === 1;
  }

  /** To a server that is gone nothing is said; who waits for an answer hears of that. */
  #post(message) {
    if (!this.#isOpen()) return;
    const data = encode(message);
    // A letter takes three bytes at most.
    if (data.length > MAX_MESSAGE / (typeof data === "string" ? 3 : 1)) throw thrown(TOO_LONG);
    this.#socket.send(data);
    this.sent += 1;
  }

  #handle(job, id) {
    const handle = {
      id,
      cancel: () => this.#post({ t: "cancel", job }),
      run: (onProgress) => {
        // It lives until it is over, though nobody else knows it.
        return this.ask({ t: "run", job, tell: onProgress !== undefined }, onProgress).finally(() => handle);
      },
    };
    this.#unused.register(handle, job);
    return handle;
  }

  #heard(data, greeted) {
    if (typeof data !== "string") {
      const bytes = new Uint8Array(data);
      if (bytes[0] === FRAME) return this.#frame(bytes);
      data = bytes;
    }
    const message = decode(data);
    const asked = this.#asked.get(message.id);
    switch (message.t) {
      case "hello":
        return greeted(message);
      case "ok":
        this.#asked.delete(message.id);
        return asked?.resolve(message.value);
      case "no":
        this.#asked.delete(message.id);
        return asked?.reject(thrown(message.error));
      case "progress":
        return asked?.onProgress?.(message.progress);
      case "began": {
        const handle = this.#jobs.get(message.job)?.deref();
        if (handle) handle.id = message.value;
        return this.#jobs.delete(message.job);
      }
      case "event":
        return this.#listeners.get(message.on)?.(message.event);
      case "download":
        return this.onDownload(message);
      case "fault":
        return this.onFault(message.path, thrown(message.error));
      default:
        return undefined;
    }
  }

  #frame(bytes) {
    const view = new DataView(bytes.buffer, bytes.byteOffset);
    const surface = view.getFloat64(8, true);
    const draw = this.#frames.get(surface);
    if (!draw) return;
    draw(bytes);
    this.#post({ t: "ack", surface, seq: view.getUint32(4, true) });
  }

  #over() {
    const asked = [...this.#asked.values()];
    this.#asked.clear();
    this.#listeners.clear();
    asked.forEach(({ reject }) => reject(thrown(GONE)));
  }
}
