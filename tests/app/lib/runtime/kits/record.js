// What the app asked of the system, for tests to look at: `[{ name, args }]`.
import { env } from "../env.js";

export function record(name, ...args) {
  (env.calls ??= []).push({ name, args });
  return env.answers?.[name]?.(...args);
}

/** Functions that only note that they were called; each comes to the answer that a test gave. */
export const noted = (prefix, ...names) => Object.fromEntries(names.map((name) => [name, (...args) => record(`${prefix}.${name}`, ...args)]));
/** The same, as promises. */
export const notedAsync = (prefix, ...names) =>
  Object.fromEntries(names.map((name) => [name, async (...args) => record(`${prefix}.${name}`, ...args)]));
