// The app on a library of its own, with machines that are there before it starts.
import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { folder, native, qemu } from "../../../napi/lib/module.js";
import { mountApp, root } from "../../lib/harness/node.js";

export { native };
export const home = folder();
let opened;

/** Opens this process's library. */
export const library = () => (opened ??= native.host.init(join(home, "library"), qemu));

/** Starts the app on it. */
export async function start(options = {}) {
  await library();
  const own = { ...native, host: { ...native.host, init: () => library() } };
  return mountApp({ native: own, language: "base", width: 390, height: 844, ...options });
}

const tables = new Map();
/** A text of the app's resources, as a pattern: what is filled in may be anything. */
export function text(language, name) {
  if (!tables.has(language)) {
    const at = join(root, "entry/src/main/resources", language, "element");
    const all = readdirSync(at).flatMap((file) => JSON.parse(readFileSync(join(at, file), "utf8")).string ?? []);
    tables.set(language, new Map(all.map((one) => [one.name, one.value])));
  }
  const value = tables.get(language).get(name);
  if (value === undefined) throw new Error(`there is no ${name} in ${language}`);
  const parts = value.split(/%(?:\d+\$)?[sd]/).map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, "\\$&"));
  return new RegExp(`^${parts.join(".*")}$`, "s");
}

/** Waits until a text of the resources is seen. */
export const seen = (app, language, name, at) => app.until(() => (!at || app.has(at)) && app.texts(at && app.find(at)).some((one) => text(language, name).test(one)));

/** Opens the page of a machine, then one of its pages by the control that leads there. */
export async function openPage(app, machine, control) {
  await app.until(() => app.has(`#machine_${machine}`));
  await app.click(`#machine_${machine}`);
  await app.until(() => app.has(control));
  await app.click(control);
}

/** The machine runs. An app that has ended may still be pausing and saving what ran: somebody looks again, so that ends first. */
export async function runs(id, options) {
  await native.app.toForeground();
  await native.life.start(id, options).run().catch((error) => {
    if (error.code !== "runs_already") throw error;
  });
}
