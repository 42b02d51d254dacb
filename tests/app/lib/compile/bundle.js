// The app and the runtime as ES modules: a map from path to text. Node.js gets it as a folder, a browser as a site.
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, readdirSync, renameSync, statSync, writeFileSync } from "node:fs";
import { dirname, join, posix, relative, sep } from "node:path";
import { fileURLToPath } from "node:url";
import { readResources } from "./resources.js";
import { componentNames } from "../runtime/registry.js";
import "../runtime/components/index.js";
import * as globals from "../runtime/globals.js";

const lib = join(dirname(fileURLToPath(import.meta.url)), "..");
const cache = join(lib, "../node_modules/.cache/modules");

const walk = (folder) =>
  !existsSync(folder)
    ? []
    : readdirSync(folder, { withFileTypes: true })
        .flatMap((one) => (one.isDirectory() ? walk(join(folder, one.name)) : [join(folder, one.name)]))
        .sort();
const slashes = (path) => path.split(sep).join("/");

/** Everything that changes what compiling gives. */
const compiler = (() => {
  const hash = createHash("sha256");
  for (const path of walk(join(lib, "compile"))) hash.update(readFileSync(path));
  return hash.digest("hex");
})();

/** The colours that ArkUI names; the declarations number them, the engine has these. */
const COLOR = {
  White: "#FFFFFFFF",
  Black: "#FF000000",
  Blue: "#FF0000FF",
  Brown: "#FFA52A2A",
  Gray: "#FF808080",
  Green: "#FF008000",
  Grey: "#FF808080",
  Orange: "#FFFFA500",
  Pink: "#FFFFC0CB",
  Red: "#FFFF0000",
  Yellow: "#FFFFFF00",
  Transparent: "#00000000",
};

/**
 * `main`: the module's folder, such as `entry/src/main`, with `ets` and `resources`. `appScope`: a folder with more resources.
 * `files`: sources by name instead of, or besides, those of `main/ets`; `label`: what stands before their names in errors.
 */
export async function bundle({ main, appScope, files = {}, label = "" }) {
  const sources = new Map(Object.entries(files).map(([name, text]) => [name, { text, shown: name }]));
  if (main) {
    const ets = join(main, "ets");
    for (const path of walk(ets).filter((one) => /\.(ets|ts)$/.test(one) && !one.endsWith(".d.ts"))) {
      const name = slashes(relative(ets, path));
      if (!sources.has(name)) sources.set(name, { text: readFileSync(path, "utf8"), shown: label + slashes(relative(process.cwd(), path)) });
    }
  }
  const out = new Map();
  for (const path of walk(join(lib, "runtime"))) out.set(`/runtime/${slashes(relative(join(lib, "runtime"), path))}`, readFileSync(path, "utf8"));
  const known = await enums();
  const names = addGenerated(out, known, main, appScope, sources);
  const project = survey(sources, names);
  for (const [name, { text, shown }] of sources) {
    const code = await cached(text, shown, { ...project, ...resolving(name, sources, known, project.globalNames) });
    out.set(`/app/${name.replace(/\.e?ts$/, ".js")}`, code);
  }
  return out;
}

/** The generated modules; comes to the names of the enumerations. */
function addGenerated(out, known, main, appScope, sources) {
  const all = { ...known.globals, Color: COLOR };
  const text = (name, value) => `export const ${name} = Object.freeze(${JSON.stringify(value)});\n`;
  out.set(
    "/generated/enums.js",
    Object.entries(all)
      .map(([name, value]) => text(name, value))
      .join("") + `export const all = { ${Object.keys(all).join(", ")} };\nexport const modules = ${JSON.stringify(known.modules)};\n`,
  );
  const used = new Set([...sources.values()].flatMap(({ text: source }) => [...source.matchAll(/["'](@kit\.\w+)["']/g)].map((one) => one[1])));
  for (const kit of used) {
    const exports = known.kits[kit];
    if (!exports) throw new Error(`there is no ${kit}`);
    out.set(
      `/generated/kits/${kit}.js`,
      `import { kitMember } from "../../runtime/kits/index.js";\nimport { modules } from "../enums.js";\n` +
        Object.entries(exports)
          .map(
            ([name, [module, inner]]) =>
              `export const ${name} = kitMember(${JSON.stringify(kit)}, ${JSON.stringify(name)}, ${JSON.stringify(module)}, ${JSON.stringify(inner)}, modules[${JSON.stringify(module)}] ?? {});\n`,
          )
          .join(""),
    );
  }
  const resources = readResources([...(appScope ? [join(appScope, "resources")] : []), ...(main ? [join(main, "resources")] : [])]);
  out.set("/generated/resources.js", `export default ${JSON.stringify(resources)};\n`);
  const modules = [...sources.keys()].map((name) => name.replace(/\.e?ts$/, ""));
  out.set(
    "/generated/modules.js",
    `export const modules = {\n${modules
      .map((name) => `  ${JSON.stringify(name)}: () => import(${JSON.stringify(`../app/${name}.js`)}),\n`)
      .join("")}};\n`,
  );
  return Object.keys(all);
}

/** What must be known of all files before one can be compiled. */
function survey(sources, enumNames) {
  const structs = new Set();
  const builders = new Set();
  for (const { text } of sources.values()) {
    for (const [, name] of text.matchAll(/^\s*(?:export\s+)?(?:default\s+)?struct\s+(\w+)/gm)) structs.add(name);
    for (const [, name] of text.matchAll(/@Builder\s+(?:export\s+)?function\s+(\w+)/g)) builders.add(name);
    for (const [, name] of text.matchAll(/@(?:ComponentV2|Entry)[^\n]*\s+(?:export\s+)?struct\s+(\w+)/g)) structs.add(name);
  }
  const runtimeNames = new Set(Object.keys(globals));
  const names = { runtimeNames, enumNames: new Set(enumNames) };
  const components = new Set(componentNames());
  // Changes whenever a file may mean something else by the same text.
  const digest = [...components, "", ...structs, "", ...builders, "", ...runtimeNames, "", ...enumNames].join(",");
  return { components, structs, builders, globalNames: names, digest };
}

function resolving(name, sources, known, { runtimeNames, enumNames }) {
  const up = "../".repeat(name.split("/").length);
  const table = { get: (one) => (runtimeNames.has(one) ? `${up}runtime/globals.js` : enumNames.has(one) ? `${up}generated/enums.js` : undefined) };
  const resolve = (specifier) => {
    if (specifier.startsWith("@kit.")) {
      if (!known.kits[specifier]) throw new Error(`${name}: there is no ${specifier}`);
      return `${up}generated/kits/${specifier}.js`;
    }
    if (/^lib\w+\.so$/.test(specifier)) return `${up}runtime/kits/native.js`;
    if (!specifier.startsWith(".")) throw new Error(`${name}: import from "${specifier}": neither a kit, a file of the app nor the native module`);
    const at = posix.join(posix.dirname(name), specifier);
    const found = [`${at}.ets`, `${at}.ts`, `${at}/Index.ets`, `${at}/index.ets`, at].find((one) => sources.has(one));
    if (!found) throw new Error(`${name}: import from "${specifier}": there is no such file`);
    const path = posix.relative(posix.dirname(name), found.replace(/\.e?ts$/, ".js"));
    return path.startsWith(".") ? path : `./${path}`;
  };
  return { globals: table, resolve };
}

async function cached(text, shown, project) {
  // Imports are resolved by what files there are, so a module is looked up by them too.
  const hash = createHash("sha256")
    .update(compiler)
    .update(shown)
    .update("\0")
    .update(text)
    .update(project.digest)
    .update([...text.matchAll(/from\s+["']([^"']+)["']/g)].map(([, from]) => safely(() => project.resolve(from))).join(","))
    .digest("hex")
    .slice(0, 32);
  const path = join(cache, `${hash}.js`);
  if (existsSync(path)) return readFileSync(path, "utf8");
  // The compiler takes a second to load, so it is only where there is something to compile.
  const { compileModule } = await import("./module.js");
  const code = compileModule(text, shown, project);
  mkdirSync(cache, { recursive: true });
  writeFileSync(`${path}.${process.pid}`, code);
  renameSync(`${path}.${process.pid}`, path);
  return code;
}
/** The enumerations, kept from one run to the next. */
async function enums() {
  const { version } = JSON.parse(readFileSync(join(lib, "../node_modules/@arkts/declarations/package.json"), "utf8"));
  const path = join(cache, `../enums-${version}-${compiler.slice(0, 16)}.json`);
  if (existsSync(path)) return JSON.parse(readFileSync(path, "utf8"));
  const found = (await import("./enums.js")).readEnums();
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(`${path}.${process.pid}`, JSON.stringify(found));
  renameSync(`${path}.${process.pid}`, path);
  return found;
}

const safely = (fn) => {
  try {
    return fn();
  } catch {
    return "?";
  }
};

/** A raw file of the app. */
export function rawFile(main, path) {
  const at = join(main, "resources/rawfile", path);
  return existsSync(at) && statSync(at).isFile() ? readFileSync(at) : undefined;
}
