// The components and attributes there are. Components register themselves, so that nodes need not know them.
const components = new Map();
const common = new Map();

export function register(table) {
  for (const [name, def] of Object.entries(table)) components.set(name, def);
}
export function registerCommon(table) {
  for (const [name, fn] of Object.entries(table)) {
    if (common.has(name)) throw new Error(`two attributes ${name}`);
    common.set(name, fn);
  }
}
export const lookUp = (name) => components.get(name);
export const lookUpAttribute = (def, name) => (Object.hasOwn(def.attributes ?? {}, name) ? def.attributes[name] : undefined) ?? common.get(name);
export const componentNames = () => [...components.keys()].filter((name) => !name.startsWith("__"));
