// The plain modules of the app, `entry/src/main/ets/model`: no component, no kit, no native module. Types are taken away, nothing else.
import { mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

const ts = createRequire(import.meta.url)("ohos-typescript");
const ets = join(dirname(fileURLToPath(import.meta.url)), "../../../../entry/src/main/ets/model");
const folder = mkdtempSync(join(tmpdir(), "sampan-models."));
process.on("exit", () => rmSync(folder, { recursive: true, force: true }));

writeFileSync(join(folder, "package.json"), '{ "type": "module" }');
globalThis.$r ??= (path, ...params) => ({ path, params });
for (const name of readdirSync(ets).filter((one) => one.endsWith(".ets"))) {
  const options = { target: ts.ScriptTarget.ES2021, module: ts.ModuleKind.ES2020, isolatedModules: true };
  const text = readFileSync(join(ets, name), "utf8");
  const { outputText } = ts.transpileModule(text, { fileName: name.replace(".ets", ".ts"), compilerOptions: options });
  writeFileSync(join(folder, name.replace(".ets", ".js")), outputText.replace(/from '(\.\/\w+)'/g, "from '$1.js'"));
}

/** What a module exports, by its name without ending. */
export const model = (name) => import(pathToFileURL(join(folder, `${name}.js`)).href);

const strings = readdirSync(join(ets, "../../resources/base/element"))
  .map((name) => JSON.parse(readFileSync(join(ets, "../../resources/base/element", name), "utf8")));
const named = (kind, path) => strings.flatMap((file) => file[kind] ?? []).find(({ name }) => name === path.split(".")[2]);

function filled(text, values) {
  let next = 0;
  return text.replace(/%(?:(\d+)\$)?[sd]/g, (_, at) => String(values[at === undefined ? next++ : at - 1]));
}

/** English texts by the resources. */
export const texts = {
  of: ({ path, params }) => filled(named("string", path).value, params),
  count: ({ path }, n) => {
    const forms = named("plural", path).value;
    const form = forms.find(({ quantity }) => quantity === (n === 1 ? "one" : "other"));
    return filled(form.value, [n]);
  },
  get: (name, values) => filled(named("string", `app.string.${name}`)?.value ?? "", values) || undefined,
  locale: () => "en-GB",
};
