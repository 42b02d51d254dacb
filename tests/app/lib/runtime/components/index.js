// All components and attributes there are.
import { register, registerCommon } from "../registry.js";
import { looks } from "../style.js";
import { events } from "../events.js";
import { sheets } from "../sheets.js";
import { menuComponents, menus } from "../menus.js";
import { applyAttributes } from "../view.js";
import { lookUpAttribute } from "../registry.js";
import { layout } from "./layout.js";
import { text } from "./text.js";
import { controls } from "./controls.js";
import { surfaces } from "./surface.js";
import { tabs } from "./tabs.js";
import { navigation } from "./navigation.js";
import { surroundings } from "./surroundings.js";

for (const table of [layout, text, controls, surfaces, tabs, navigation, menuComponents]) register(table);
for (const table of [looks, events, sheets, menus, surroundings]) registerCommon(table);

registerCommon({
  /** Attributes that an object of the app's sets: for what only newer systems have. */
  attributeModifier(node, modifier) {
    const instance = new Proxy(
      {},
      {
        get:
          (_, name) =>
          (...args) => {
            if (!lookUpAttribute(node.def, name)) throw node.problem(`the preview has no attribute ${String(name)}`);
            applyAttributes(node, [[name, ...args]]);
            return instance;
          },
      },
    );
    modifier.applyNormalAttribute?.(instance);
  },
});
