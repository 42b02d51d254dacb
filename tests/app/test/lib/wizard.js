// The app with its wizard open, and ways through it.
import { mountApp } from "../../lib/harness/node.js";
import { library, native, text } from "./pages.js";

/** A disk that fits however full the host is that the tests run on. */
const SMALL = 1 << 30;
const presets = {
  ...native.presets,
  defaults: async (...args) => ({ ...await native.presets.defaults(...args), disk: SMALL }),
};

/** Opens the wizard. `own` replaces parts of the native module; `from` is what is tapped; `there` is seen once it is open. */
export async function opened({ own = {}, from = "#empty_new", there = "#preset_linux, #image_none", ...options } = {}) {
  await library();
  const parts = Object.fromEntries(Object.entries(own).map(([name, part]) => [name, { ...native[name], ...part }]));
  const module = { ...native, presets, ...parts, host: { ...native.host, init: () => library() } };
  const app = await mountApp({ native: module, language: "base", width: 390, height: 844, ets: process.env.SAMPAN_ETS, ...options });
  await app.until(() => app.has("#empty_new") || app.has("#new_machine"));
  if (from) {
    await app.click(from);
    await app.until(() => there.split(", ").some((one) => app.has(one)));
  }
  return app;
}

/** Goes to the hardware by a system and an image. */
export async function choose(app, preset, image) {
  await app.click(`#preset_${preset}`);
  await app.click(image);
  const { wizard: model } = await wizard(app);
  await app.until(() => model().choice.defaults && app.has("#memory_slider"));
}

/** Waits until a text of the resources is seen, in `at` where it is given. */
export const told = (app, language, name, at) => app.until(() =>
  (at === undefined || app.has(at)) && app.texts(at && app.find(at)).some((one) => text(language, name).test(one)));

/** The wizard's model. */
export const wizard = (app) => app.env.modules["viewmodel/Wizard"]();

export const value = (app, what) => app.texts(app.find(what)).join(" ");

/** Taps one after the other, each once it is there; a pair is a field and what is typed into it. Comes to how many taps that were. */
export async function taps(app, all) {
  for (const tap of all) {
    const [what, typed] = [tap].flat();
    await app.until(() => app.has(what));
    await app.click(what);
    if (typed !== undefined) await app.type(what, typed);
  }
  return all.length;
}

export { native };
