// The components and attributes there are. Components register themselves, so that nodes need not know them.
const components = new Map();
const common = new Map();

/** Components that are as wide as they may be where nothing else is said. */
const FILLING = new Set(["List", "Grid", "Tabs", "Navigation", "Flex", "TextInput", "TextArea", "Search", "Slider", "Progress", "Web", "Refresh"]);

export function register(table) {
  for (const [name, def] of Object.entries(table)) components.set(name, FILLING.has(name) ? { ...def, fills: true } : def);
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
