// The app's resources as one object: texts, plurals, colours and figures by qualifier, pictures as text, raw files by name.
import { existsSync, readFileSync, readdirSync, statSync } from "node:fs";
import { extname, join, relative } from "node:path";

const TYPES = ["string", "plural", "color", "float", "integer", "boolean", "strarray", "intarray"];
const MIME = { ".png": "image/png", ".jpg": "image/jpeg", ".webp": "image/webp", ".gif": "image/gif" };

/** `{ base: { string: { name: value }, … }, zh_CN: …, dark: …, media: { name: {svg} | {url} }, rawfiles: [path] }` of folders of resources. */
export function readResources(folders) {
  const all = { qualifiers: {}, media: {}, rawfiles: [], profiles: [] };
  for (const folder of folders.filter(existsSync)) {
    for (const qualifier of readdirSync(folder)) {
      const at = join(folder, qualifier);
      if (!statSync(at).isDirectory()) continue;
      if (qualifier === "rawfile") {
        all.rawfiles.push(...walk(at).map((path) => relative(at, path)));
        continue;
      }
      const tables = (all.qualifiers[qualifier] ??= {});
      for (const path of walk(join(at, "element")).filter((one) => one.endsWith(".json"))) addElements(tables, path);
      for (const path of walk(join(at, "media"))) (all.media[qualifier] ??= {})[mediaName(path)] = media(path);
    }
  }
  return all;
}

function addElements(tables, path) {
  let parsed;
  try {
    parsed = JSON.parse(readFileSync(path, "utf8"));
  } catch (error) {
    throw new SyntaxError(`${path}: ${error.message}`);
  }
  for (const [type, entries] of Object.entries(parsed)) {
    if (!TYPES.includes(type)) throw new SyntaxError(`${path}: ${type} is no type of resources`);
    const table = (tables[type] ??= {});
    for (const { name, value } of entries) {
      if (name in table) throw new SyntaxError(`${path}: ${type} ${name} is there already`);
      table[name] = type === "plural" ? Object.fromEntries(value.map((one) => [one.quantity, one.value])) : value;
    }
  }
}

const mediaName = (path) =>
  path
    .split("/")
    .pop()
    .replace(/\.[^.]+$/, "");

function media(path) {
  if (extname(path) === ".svg") return { svg: readFileSync(path, "utf8") };
  if (extname(path) === ".json") return { json: readFileSync(path, "utf8") };
  return { url: `data:${MIME[extname(path)] ?? "application/octet-stream"};base64,${readFileSync(path).toString("base64")}` };
}

function walk(folder) {
  if (!existsSync(folder)) return [];
  return readdirSync(folder, { withFileTypes: true })
    .flatMap((one) => (one.isDirectory() ? walk(join(folder, one.name)) : [join(folder, one.name)]))
    .sort();
}
