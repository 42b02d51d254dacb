// The server's end of one page's bridge: its calls, subscriptions, surfaces and files. What it holds of the module ends with it; jobs go on.
import { Surface } from "../../napi/lib/stand-in.js";
import { Files } from "./lent.js";
import { Painter } from "./frames.js";
import { decode, encode, told } from "./wire.js";

/** Bytes that a page may be behind with before it is given up. */
const MAX_BEHIND = 64 << 20;

/** Surfaces of one connection have numbers from here times its number. */
const SURFACES = 2 ** 24;

/** Milliseconds that a job which is begun beside the socket waits for the messages that were sent before it. */
const ORDER_LIMIT = 5_000;

/** What a page may have opened, by the call that it is ended with when the page is gone. */
const OPENED = new Map([["screen.attach", "screen.detach"], ["serial.open", "serial.close"]]);
const ENDED = new Map([...OPENED].map(([open, end]) => [end, open]));

function refused(what) {
  return Object.assign(new Error(`the bridge does not carry ${what}`), { code: "invalid" });
}

export class Session {
  #native;
  #description;
  #functions;
  #overrides;
  #socket;
  #number;
  #jobs = new Map();
  #subscriptions = new Map();
  #painters = new Map();
  #opened = new Map([...OPENED.keys()].map((path) => [path, new Set()]));
  #received = 0;
  #waiting = [];
  #isOver = false;
  files = new Files((file) => this.#tell({ t: "download", ...file }));

  /** `overrides` has for some calls what makes other arguments of a page's. */
  constructor({ native, description, functions, overrides, socket, number, config }) {
    this.#native = native;
    this.#description = description;
    this.#functions = functions;
    this.#overrides = overrides;
    this.#socket = socket;
    this.#number = number;
    socket.on("message", (data, isBinary) => this.#heard(data, isBinary));
    socket.on("close", () => this.#end());
    this.#tell({ t: "hello", connection: number, surfaces: number * SURFACES, config });
  }

  /** Begins a job that came beside the socket, after the messages that were sent before it; comes to its id. */
  async begin(message, sent) {
    if (message.t !== "job") throw refused(message.t);
    if (this.#received < sent) {
      await new Promise((resolve, reject) => {
        const late = setTimeout(() => reject(refused("a job before what was sent earlier")), ORDER_LIMIT);
        this.#waiting.push({ sent, resolve: () => resolve(clearTimeout(late)) });
      });
    }
    return this.#begin(message).id;
  }

  #heard(data, isBinary) {
    let message;
    try {
      message = decode(isBinary ? data : data.toString());
    } catch {
      this.#socket.close(1007, "this is not a message");
      return;
    }
    this.#received += 1;
    try {
      this.#act(message);
    } catch (error) {
      this.#tell({ t: "fault", path: message.path ?? message.t, error: told(error) });
    }
    const due = this.#waiting.filter(({ sent }) => sent <= this.#received);
    this.#waiting = this.#waiting.filter(({ sent }) => sent > this.#received);
    due.forEach(({ resolve }) => resolve());
  }

  #act(message) {
    const { t, id, job, surface } = message;
    switch (t) {
      case "call":
        return this.#answer(id, () => this.#call(message));
      case "attach":
        return this.#answer(id, async () => this.#keep(job, await this.#call(message, "attach")).id);
      case "run":
        return this.#answer(id, () => this.#run(message));
      case "make":
        return this.#answer(id, () => this.files.make(String(message.name)));
      case "job":
        return this.#tell({ t: "began", job, value: this.#begin(message).id });
      case "send":
        return this.#send(message);
      case "on":
        return this.#subscribe(message);
      case "off":
        this.#subscriptions.get(message.on)?.();
        return this.#subscriptions.delete(message.on);
      case "cancel":
        return this.#jobs.get(job)?.cancel();
      case "forget":
        return this.#jobs.delete(job);
      case "surface":
        return this.#show(surface);
      case "destroy":
        this.#painters.get(surface)?.end();
        return this.#painters.delete(surface);
      case "ack":
        return this.#painters.get(surface)?.drawn(message.seq);
      case "open":
        return this.files.open(message.fd, message.uri);
      case "close":
        return this.files.close(message.fd);
      default:
        throw refused(t);
    }
  }

  /** The module's function, if it is of this kind and takes so many arguments, and the arguments for it. */
  #prepared({ path, args }, kind) {
    const described = Object.hasOwn(this.#description.functions, path) ? this.#description.functions[path] : undefined;
    if (described?.kind !== kind || !Array.isArray(args)) throw refused(`a ${kind} ${path}`);
    const { least, most, files } = described;
    if (args.length < least || args.length > most) throw refused(`${args.length} arguments of ${path}`);
    const given = this.#overrides[path]?.(args) ?? args.map((one) => one ?? undefined);
    const end = this.files.lend(given, files);
    const [space, name] = path.split(".");
    return { call: () => this.#native[space][name](...given), end };
  }

  async #call(message, kind = "promise") {
    const { call, end } = this.#prepared(message, kind);
    let worked = false;
    try {
      const value = await call();
      worked = true;
      if (OPENED.has(message.path)) this.#openedBy(message.path, value);
      return value;
    } finally {
      end(worked);
    }
  }

  #openedBy(path, id) {
    this.#opened.get(path).add(id);
    if (this.#isOver) this.#endOpened();
  }

  /** A job that cannot be begun is one all the same, which fails. */
  #begin(message) {
    let begun;
    try {
      const { call, end } = this.#prepared(message, "job");
      try {
        begun = call();
      } catch (error) {
        end(false);
        throw error;
      }
      begun.run().then(() => end(true), () => end(false));
    } catch (error) {
      begun = { id: "", cancel() {}, run: () => Promise.reject(error) };
    }
    return this.#keep(message.job, begun);
  }

  #keep(number, job) {
    if (this.#jobs.has(number)) throw refused(`a second job ${number}`);
    this.#jobs.set(number, job);
    return job;
  }

  #run({ id, job, tell }) {
    const found = this.#jobs.get(job);
    if (!found) throw refused(`a job ${job}`);
    return tell ? found.run((progress) => this.#tell({ t: "progress", id, progress })) : found.run();
  }

  #send(message) {
    this.#prepared(message, "void").call();
    const opened = ENDED.get(message.path);
    if (opened) this.#opened.get(opened).delete(message.args[0]);
  }

  #subscribe({ on, kind }) {
    if (!this.#description.events.includes(kind) || this.#subscriptions.has(on)) throw refused(`events ${kind}`);
    this.#subscriptions.set(on, this.#native.on(kind, (event) => this.#tell({ t: "event", on, event })));
  }

  #show(number) {
    const own = Number.isInteger(number) && Math.floor(number / SURFACES) === this.#number;
    if (!own || this.#painters.has(number) || this.#functions.surfaceAs(number) !== number) throw refused(`a surface ${number}`);
    this.#painters.set(number, new Painter(new Surface(this.#functions, number), (frame) => this.#write(frame)));
  }

  async #answer(id, ask) {
    let answer;
    try {
      answer = { t: "ok", id, value: await ask() };
    } catch (error) {
      answer = { t: "no", id, error: told(error) };
    }
    this.#tell(answer);
  }

  #tell(message) {
    this.#write(encode(message));
  }

  #write(data) {
    if (this.#socket.readyState !== 1) return;
    if (this.#socket.bufferedAmount > MAX_BEHIND) this.#socket.terminate();
    else this.#socket.send(data);
  }

  #endOpened() {
    for (const [path, ids] of this.#opened) {
      const [space, name] = OPENED.get(path).split(".");
      ids.forEach((id) => this.#native[space][name](id));
      ids.clear();
    }
  }

  #end() {
    this.#isOver = true;
    this.#subscriptions.forEach((end) => end());
    this.#subscriptions.clear();
    // Nobody draws on a surface that ends.
    this.#endOpened();
    this.#painters.forEach((painter) => painter.end());
    this.#painters.clear();
    this.#jobs.clear();
    this.files.end();
  }
}
