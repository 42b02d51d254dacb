// The attributes that every component has and that are events: pointers, keys, focus, appearing, sizes; and identity and access.
import { env, guard } from "./env.js";
import { DroppedFile } from "./kits/dropped.js";
import { keyEvent } from "./keys.js";
import { member } from "./enumeration.js";
import { textOf } from "./resources.js";
import { sizeOf, watchSight, watchSize } from "./sizes.js";
import { attach, mouseEvent, sourceOf, touchEvent } from "./gestures.js";
import { shortcut } from "./focus.js";

/** Whether a node or one that it stands in is switched off. */
export function disabled(node) {
  for (let one = node; one; one = one.parent) if (one.off) return true;
  return false;
}

export const place = (node, event) => {
  const { x, y, width, height } = sizeOf(node);
  const [left, top] = [event.clientX ?? 0, event.clientY ?? 0];
  return {
    x: left - x,
    y: top - y,
    windowX: left,
    windowY: top,
    displayX: left,
    displayY: top,
    globalDisplayX: left,
    globalDisplayY: top,
    width,
    height,
  };
};

export const target = (node) => {
  const { x, y, width, height } = sizeOf(node);
  return { area: { width, height, position: { x, y }, globalPosition: { x, y } }, id: node.el.id };
};

function clicked(node, handler) {
  return (event) => {
    // The innermost one alone, as in ArkUI.
    if ((event.$taken && event.$taken !== node) || disabled(node)) return;
    event.$taken = node;
    handler({
      ...place(node, event),
      screenX: event.clientX,
      screenY: event.clientY,
      ...sourceOf(event),
      timestamp: Date.now() * 1e6,
      pressure: 0,
      tiltX: 0,
      tiltY: 0,
      deviceId: 0,
      target: target(node),
      preventDefault: () => event.preventDefault(),
      getModifierKeyState: (keys) =>
        keys.every((key) => ({ ctrl: event.ctrlKey, shift: event.shiftKey, alt: event.altKey })[key.toLowerCase()] ?? false),
    });
  };
}

/** Whether a finger on the node may scroll something around it. */
function scrolls(node) {
  for (let one = node.parent; one; one = one.parent) if (["Scroll", "List", "Grid"].includes(one.name)) return true;
  return false;
}

function keys(node, key, handler, options) {
  const run =
    handler &&
    ((event) => {
      if (disabled(node)) return;
      // A control inside takes its own keys.
      const inner = event.target !== node.el && (event.key === "Enter" || event.key === " ") && event.target.$node?.pressable;
      if (inner) return;
      const made = keyEvent(event);
      if (handler(made) === true || made.$taken) {
        event.stopPropagation();
        event.preventDefault();
      } else if (key === "key" && event.type === "keydown") node.pressByKey?.(event);
    });
  node.on(`${key}.down`, "keydown", run, options);
  node.on(`${key}.up`, "keyup", run, options);
}

/** Focusable with the keyboard; what is pressed by a pointer gets the focus too. */
export function focusable(node, value) {
  if (value) node.attribute("tabindex", node.tabIndex ?? 0);
  else node.attribute("tabindex", node.tabIndex !== undefined && node.tabIndex < 0 ? node.tabIndex : undefined);
}

export const events = {
  onClick(node, handler) {
    node.on("click", "click", handler && clicked(node, handler));
    node.clickable = handler !== undefined;
    node.pressable = node.clickable;
    if (!node.isControl) {
      if (handler && !node.notFocusable) focusable(node, true);
      if (handler && !node.role) node.attribute("role", "button");
      // A control's own Enter and Space are the browser's.
      node.pressByKey = (event) => {
        if (event.target !== node.el || (event.key !== "Enter" && event.key !== " ") || event.defaultPrevented) return;
        event.preventDefault();
        node.el.click();
      };
      // Where there is an onKeyEvent it goes first.
      node.on("click.key", "keydown", (event) => node.handlers.get("key.down")?.handler || node.pressByKey(event));
    }
  },
  allowDrop(node, types) {
    node.takes = types ?? [];
  },
  /** A test's event has `uris`; a browser's has files, which are sent to where the app reads them. */
  onDrop(node, handler) {
    node.on("drop.over", "dragover", handler && ((event) => event.preventDefault()));
    const drop = async (event) => {
      event.preventDefault();
      const sent = async () => (await Promise.all([...event.dataTransfer.files].map((file) => env.files.upload(file)))).map(({ uri }) => uri);
      const records = (event.uris ?? (await sent())).map((uri) => new DroppedFile(uri));
      if (!disabled(node)) handler({ ...place(node, event), getData: () => ({ getRecords: () => records }), getResult: () => 0, setResult() {} });
    };
    node.on("drop", "drop", handler && drop);
  },
  onTouch(node, handler) {
    if (handler && !scrolls(node)) node.css["touch-action"] = "none";
    for (const type of ["pointerdown", "pointermove", "pointerup", "pointercancel"]) {
      node.on(
        `touch.${type}`,
        type,
        handler &&
          ((event) => {
            if (event.pointerType === "mouse" && type === "pointermove" && event.buttons === 0) return;
            const made = touchEvent(node, event);
            if (made && !disabled(node)) handler(made);
          }),
      );
    }
  },
  onMouse(node, handler) {
    for (const type of ["pointerdown", "pointermove", "pointerup"]) {
      node.on(
        `mouse.${type}`,
        type,
        handler &&
          ((event) => {
            if (event.pointerType !== "touch" && !disabled(node)) handler(mouseEvent(node, event));
          }),
      );
    }
  },
  onHover(node, handler) {
    node.on("hover.in", "pointerenter", handler && ((event) => event.pointerType !== "touch" && handler(true, { stopPropagation() {} })));
    node.on("hover.out", "pointerleave", handler && ((event) => event.pointerType !== "touch" && handler(false, { stopPropagation() {} })));
  },
  onHoverMove(node, handler) {
    node.on(
      "hoverMove",
      "pointermove",
      handler &&
        ((event) => {
          const { x, y } = place(node, event);
          if (event.pointerType !== "touch" && event.buttons === 0 && !disabled(node)) handler({ x, y, ...sourceOf(event), stopPropagation() {} });
        }),
    );
  },
  onAxisEvent(node, handler) {
    node.on(
      "axis",
      "wheel",
      handler &&
        ((event) => {
          event.preventDefault();
          const made = {
            ...place(node, event),
            action: 2,
            scrollStep: 3,
            source: 1,
            target: target(node),
            timestamp: Date.now() * 1e6,
            propagation() {},
            getHorizontalAxisValue: () => event.deltaX,
            getVerticalAxisValue: () => event.deltaY,
            getPinchAxisScaleValue: () => 1,
            getModifierKeyState: (names) =>
              names.every((key) => ({ ctrl: event.ctrlKey, shift: event.shiftKey, alt: event.altKey })[key.toLowerCase()] ?? false),
          };
          handler(made);
        }),
      { passive: false },
    );
  },
  onKeyEvent: (node, handler) => keys(node, "key", handler),
  onKeyPreIme: (node, handler) => keys(node, "keyPre", handler, true),
  onKeyEventDispatch: (node, handler) => keys(node, "keyDispatch", handler, true),
  keyboardShortcut: (node, key, modifiers, action) =>
    shortcut(
      node,
      key,
      modifiers.map((one) => member("ModifierKey", one)),
      action,
    ),
  onFocus: (node, handler) => node.on("focus", "focus", handler && (() => handler())),
  onBlur: (node, handler) => node.on("blur", "blur", handler && (() => handler())),
  focusable(node, value) {
    node.notFocusable = !value;
    focusable(node, value);
  },
  tabIndex(node, value) {
    node.tabIndex = value;
    node.attribute("tabindex", value);
  },
  focusOnTouch: (node, value) => node.attribute("data-focus-on-touch", value ? "true" : undefined),
  defaultFocus(node, value) {
    if (!value || node.focusedOnce) return;
    node.focusedOnce = true;
    queueMicrotask(() => !node.gone && node.el.focus?.());
  },
  groupDefaultFocus: (node, value) => events.defaultFocus(node, value),
  focusScopeId() {},
  focusScopePriority() {},
  tabStop() {},
  enabled(node, value) {
    node.off = !value;
    node.attribute("aria-disabled", value ? undefined : "true");
    if (node.isControl) node.attribute("disabled", value ? undefined : "");
  },
  touchable() {},
  draggable() {},
  responseRegion(node, region) {
    node.attribute("data-response-region", JSON.stringify(region));
  },
  mouseResponseRegion() {},
  hitTestBehavior(node, value) {
    node.css["pointer-events"] = ["Transparent", "None"].includes(member("HitTestMode", value)) ? "none" : "auto";
  },
  gesture: (node, gesture) => attach(node, "gesture", gesture),
  priorityGesture: (node, gesture) => attach(node, "priority", gesture),
  parallelGesture: (node, gesture) => attach(node, "parallel", gesture),
  onAppear(node, handler) {
    node.appear = () => !node.appeared && ((node.appeared = true), guard(handler));
  },
  onDisAppear(node, handler) {
    node.disappear = () => guard(handler);
  },
  onAttach: (node, handler) => events.onAppear(node, handler),
  onDetach: (node, handler) => events.onDisAppear(node, handler),
  onSizeChange: (node, handler) => watchSize(node, "size", handler),
  onAreaChange: (node, handler) =>
    watchSize(node, "area", (before, now) => {
      const area = ({ width, height, x, y }) => ({ width, height, position: { x, y }, globalPosition: { x, y } });
      handler(area(before), area(now));
    }),
  onVisibleAreaChange(node, ratios, handler) {
    if (node.visibility) {
      node.visibility.handler = handler;
      return;
    }
    node.visibility = { handler };
    watchSight(node, ratios, (ratio) => !node.gone && guard(() => node.visibility.handler(ratio > 0, ratio)));
  },
  id: (node, value) => node.attribute("id", value),
  key: (node, value) => node.attribute("id", value),
  accessibilityText: (node, value) => node.attribute("aria-label", textOf(value) || undefined),
  accessibilityDescription: (node, value) => node.attribute("aria-description", textOf(value) || undefined),
  accessibilityGroup(node, value) {
    // One thing for a screen reader: what stands inside is told by the group's text.
    node.attribute("data-a11y-group", value ? "true" : undefined);
    if (value && !node.clickable && !node.role) node.attribute("role", "group");
  },
  accessibilityLevel: (node, value) => node.attribute("aria-hidden", ["no", "no-hide-descendants"].includes(value) ? "true" : undefined),
  accessibilityVirtualNode() {},
  accessibilityChecked: (node, value) => node.attribute("aria-checked", String(value)),
  accessibilitySelected: (node, value) => node.attribute("aria-selected", String(value)),
  accessibilityRole(node, value) {
    node.role = true;
    node.attribute(
      "role",
      String(value)
        .replace(/^ROLE_/, "")
        .toLowerCase(),
    );
  },
  accessibilityStateDescription: (node, value) => node.attribute("aria-valuetext", textOf(value)),
  accessibilityDefaultFocus() {},
  accessibilityUseSamePage() {},
  accessibilityScrollTriggerable() {},
  accessibilityNextFocusId() {},
  accessibilityFocusDrawLevel() {},
  onAccessibilityHover() {},
  onAccessibilityFocus() {},
};
