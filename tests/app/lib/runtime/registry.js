// The components and attributes there are. Components register themselves, so that nodes need not know them.
const components = new Map();
const common = new Map();

/** Components that are as wide as they may be where nothing else is said. */
const FILLING = new Set(["List", "Grid", "Tabs", "Navigation", "Flex", "TextInput", "TextArea", "Search", "Slider", "Progress", "Web", "Refresh"]);

/** What may stand in what, and which take one child alone: the compiler of the SDK refuses all else. */
const PARENTS = {
  ListItem: ["List", "ListItemGroup"],
  ListItemGroup: ["List"],
  GridItem: ["Grid"],
  TabContent: ["Tabs"],
  MenuItem: ["Menu", "MenuItemGroup"],
  MenuItemGroup: ["Menu"],
  Span: ["Text", "ContainerSpan"],
  ImageSpan: ["Text", "ContainerSpan"],
};
const SINGLE = new Set(["Scroll", "Button", "ListItem", "GridItem", "TabContent", "Badge", "Refresh"]);
const CHILDREN = {
  List: ["ListItem", "ListItemGroup"],
  ListItemGroup: ["ListItem"],
  Grid: ["GridItem"],
  Tabs: ["TabContent"],
  Text: ["Span", "ImageSpan", "ContainerSpan", "SymbolSpan"],
};

export function register(table) {
  for (const [name, def] of Object.entries(table)) {
    components.set(name, { ...def, fills: FILLING.has(name), parents: PARENTS[name], single: SINGLE.has(name), takes: CHILDREN[name] });
  }
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
