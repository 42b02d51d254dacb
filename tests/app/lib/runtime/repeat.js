// Rows of ForEach and Repeat, by key.
import { env } from "./env.js";
import { effect, onDispose, scope, untracked } from "./signals.js";
import { Trace } from "./v2.js";
import { childrenChanged, here, within } from "./view.js";

/** What Repeat hands to a row: it stays the same object while the row lives. */
class RepeatItem {}
Trace(RepeatItem.prototype, "item");
Trace(RepeatItem.prototype, "index");

const put = (child) => here().host.insertBefore(child, here().before);

/** Nodes from `first` up to, without, `end`. */
function* between(first, end) {
  for (let node = first; node && node !== end;) {
    const next = node.nextSibling;
    yield node;
    node = next;
  }
}

/**
 * Keeps rows: `open(item, index)` gives what a row holds on to, `describe(held)` its nodes, and `update(held, item, index)`
 * what becomes of it when its key comes again.
 */
function rows(list, keyOf, { open, describe, update, kind }, where) {
  const end = put(env.document.createComment("rows"));
  const place = { ...here(), before: end };
  let live = new Map();
  onDispose(() => {
    for (const row of live.values()) row.scope.dispose();
  });
  effect(() => {
    const items = list();
    if (items === undefined || items === null || typeof items[Symbol.iterator] !== "function") throw new TypeError(`${where}: its list is ${items}`);
    const all = [...items];
    untracked(() => {
      const next = new Map();
      all.forEach((item, index) => {
        let key = String(keyOf(item, index));
        if (next.has(key)) throw new Error(`${where}: two rows have the key ${key}`);
        const row = live.get(key);
        live.delete(key);
        if (row && row.kind === kind(item, index)) {
          update(row.held, item, index);
          next.set(key, row);
        } else {
          if (row) drop(row);
          next.set(key, make(item, index));
        }
      });
      for (const row of live.values()) drop(row);
      live = next;
      arrange();
    });
    childrenChanged(place.node);
  });

  function make(item, index) {
    const row = {
      held: open(item, index),
      kind: kind(item, index),
      first: env.document.createComment("row"),
      last: env.document.createComment("/row"),
    };
    place.host.insertBefore(row.first, end);
    place.host.insertBefore(row.last, end);
    row.scope = scope(() => within({ ...place, before: row.last }, () => describe(row.held, row.kind)));
    return row;
  }

  function drop(row) {
    row.scope.dispose();
    for (const node of between(row.first, row.last)) node.remove();
    row.last.remove();
  }

  /** Moves what does not stand where it belongs, from the end on. */
  function arrange() {
    let following = end;
    for (const row of [...live.values()].reverse()) {
      if (row.last.nextSibling !== following) {
        const nodes = [...between(row.first, row.last), row.last];
        for (const node of nodes) place.host.insertBefore(node, following);
      }
      following = row.first;
    }
  }
}

/** A row whose key comes again is left as it is, whatever its item is now: that is ForEach. */
export function $each(list, describe, key, where) {
  rows(
    list,
    key ?? ((item, index) => `${index}__${JSON.stringify(item)}`),
    {
      open: (item, index) => ({ item, index }),
      describe: (held) => describe(held.item, held.index),
      update() {},
      kind: () => "",
    },
    where,
  );
}

/** A row whose key comes again keeps its nodes and is told its item and index. Without keys the item is the key. */
export function $repeat(list, options, where) {
  if (!options.each) throw new Error(`${where}: Repeat has no each`);
  const identities = new Map();
  const counted = new Map();
  const keyOf =
    options.key ??
    ((item, index) => {
      if (!identities.has(item)) identities.set(item, identities.size);
      const base = identities.get(item);
      if (index === 0) counted.clear();
      counted.set(base, (counted.get(base) ?? 0) + 1);
      return `${base}#${counted.get(base)}`;
    });
  rows(
    list,
    keyOf,
    {
      open: (item, index) => Object.assign(new RepeatItem(), { item, index }),
      describe: (held, kind) => (options.templates[kind] ?? options.each)(held),
      update: (held, item, index) => void Object.assign(held, { item, index }),
      kind: (item, index) => (options.templateId && options.templates[options.templateId(item, index)] ? options.templateId(item, index) : ""),
    },
    where,
  );
}
