// Values that know who reads them. Computed properties are brought up to date first, then monitors run, then nodes are drawn, each
// in the order in which they were made: the order of ArkUI's state management V2.
import { uncaught } from "./env.js";

export const COMPUTED = 0;
export const MONITOR = 1;
export const NODE = 2;

/** More rounds than this at once are a circle: a page that changes what it reads. */
const MOST_RUNS = 200_000;

let reader = null;
let owner = null;
let nextId = 1;
let scheduled = false;
const queues = [new Set(), new Set(), new Set()];

export class Effect {
  constructor(kind, run) {
    this.id = nextId++;
    this.kind = kind;
    this.fn = run;
    this.sources = new Set();
    this.dead = false;
    owner?.push(this);
  }

  /** Runs, and remembers what was read. */
  run() {
    if (this.dead) return;
    this.forget();
    const [before, held] = [reader, owner];
    reader = this;
    owner = null;
    try {
      this.fn();
    } finally {
      reader = before;
      owner = held;
    }
  }

  forget() {
    for (const source of this.sources) source.delete(this);
    this.sources.clear();
  }

  dispose() {
    this.dead = true;
    this.forget();
    queues[this.kind].delete(this);
  }
}

/** Draws a node now, and again whenever what it read changes. */
export function effect(fn) {
  const made = new Effect(NODE, fn);
  made.run();
  return made;
}

export function untracked(fn) {
  const before = reader;
  reader = null;
  try {
    return fn();
  } finally {
    reader = before;
  }
}

/** Runs `fn`; what it makes ends with `dispose()`, the newest first. */
export function scope(fn) {
  const made = [];
  const [held, before] = [owner, reader];
  owner = made;
  reader = null;
  const dispose = () => {
    for (const one of made.splice(0).reverse()) one.dispose();
  };
  try {
    fn();
  } catch (error) {
    dispose();
    throw error;
  } finally {
    owner = held;
    reader = before;
  }
  // What is handed out later, such as a row's scope, belongs to whoever asked for it.
  return { dispose, adopt: (one) => made.push(one) };
}

export const onDispose = (fn) => owner?.push({ dispose: fn });
/** Runs `fn` so that nothing it makes belongs to the present owner. */
export function unowned(fn) {
  const held = owner;
  owner = null;
  try {
    return fn();
  } finally {
    owner = held;
  }
}

export const readers = () => new Set();
export function track(set) {
  if (reader && !reader.dead) {
    set.add(reader);
    reader.sources.add(set);
  }
}

export function fire(set) {
  if (set.size === 0) return;
  for (const one of set) queues[one.kind].add(one);
  schedule();
}

function schedule() {
  if (scheduled) return;
  scheduled = true;
  queueMicrotask(() => {
    try {
      flush();
    } catch (error) {
      uncaught(error);
    }
  });
}

/** Brings everything up to date now. */
export function flush() {
  let runs = 0;
  let failed;
  try {
    for (;;) {
      const queue = queues.find((one) => one.size > 0);
      if (!queue) break;
      // One round of a kind: what it queues of an earlier kind comes first.
      const round = [...queue].sort((a, b) => a.id - b.id);
      for (const one of round) {
        if (!queue.delete(one)) continue;
        if (++runs > MOST_RUNS) throw new Error("endless update: a build() or a @Monitor changes what it reads");
        try {
          one.run();
        } catch (error) {
          failed ??= error;
        }
        if (one.kind > 0 && queues.slice(0, one.kind).some((earlier) => earlier.size > 0)) break;
      }
    }
  } finally {
    scheduled = false;
  }
  if (failed) throw failed;
}

export const pending = () => queues.some((one) => one.size > 0);
