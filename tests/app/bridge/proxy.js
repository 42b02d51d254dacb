// The native module as pages see it, made of the description of its interface. In the browser and in Node.js.

/**
 * `link` carries it: `call(path, args)` and `attach(path, args)` come to promises, `begin(path, args)` to a job's handle at once,
 * `send(path, args)` to nothing, `subscribe(kind, callback)` to what ends it.
 */
export function proxy({ functions, events }, link) {
  const native = {};
  const carried = {
    promise: (path) => (args) => link.call(path, args),
    attach: (path) => (args) => link.attach(path, args).then((handle) => new Job(handle)),
    job: (path) => (args) => new Job(link.begin(path, args)),
    void: (path) => (args) => void link.send(path, args),
  };
  for (const [path, { kind, least, most }] of Object.entries(functions)) {
    const [space, name] = path.split(".");
    const carry = carried[kind](path);
    native[space] ??= {};
    native[space][name] = (...args) => {
      // An argument that is left out at the end is as one that was never there.
      while (args.length > least && args.at(-1) === undefined) args.pop();
      if (args.length < least || args.length > most) {
        throw new TypeError(`${path} takes ${least === most ? least : `${least} to ${most}`} arguments, not ${args.length}`);
      }
      return carry(args);
    };
  }
  native.on = (kind, callback) => {
    if (!events.includes(kind)) throw Object.assign(new Error(`there are no events ${kind}`), { code: "invalid" });
    if (typeof callback !== "function") throw new TypeError("a subscription needs a function");
    return link.subscribe(kind, callback);
  };
  for (const space of Object.values(native)) Object.freeze(space);
  return Object.freeze(native);
}

/** As the module's `Job`. */
class Job {
  #handle;

  constructor(handle) {
    this.#handle = handle;
  }

  get id() {
    return this.#handle.id;
  }

  cancel() {
    this.#handle.cancel();
  }

  run(onProgress) {
    return this.#handle.run(onProgress);
  }
}
