// Keys of a browser as OpenHarmony numbers them (its multimodal input's key codes).
import { env } from "./env.js";

const CODES = {
  Escape: 2070,
  Tab: 2049,
  Enter: 2054,
  NumpadEnter: 2119,
  Space: 2050,
  Backspace: 2055,
  Delete: 2071,
  Insert: 2083,
  Home: 2081,
  End: 2082,
  PageUp: 2068,
  PageDown: 2069,
  ArrowUp: 2012,
  ArrowDown: 2013,
  ArrowLeft: 2014,
  ArrowRight: 2015,
  ShiftLeft: 2047,
  ShiftRight: 2048,
  ControlLeft: 2072,
  ControlRight: 2073,
  AltLeft: 2045,
  AltRight: 2046,
  MetaLeft: 2076,
  MetaRight: 2077,
  ContextMenu: 2067,
  CapsLock: 2074,
  ScrollLock: 2075,
  PrintScreen: 2079,
  Pause: 2080,
  NumLock: 2102,
  Comma: 2043,
  Period: 2044,
  Backquote: 2056,
  Minus: 2057,
  Equal: 2058,
  BracketLeft: 2059,
  BracketRight: 2060,
  Backslash: 2061,
  Semicolon: 2062,
  Quote: 2063,
  Slash: 2064,
  NumpadDivide: 2113,
  NumpadMultiply: 2114,
  NumpadSubtract: 2115,
  NumpadAdd: 2116,
  NumpadDecimal: 2117,
  NumpadComma: 2118,
  NumpadEqual: 2120,
  AudioVolumeUp: 16,
  AudioVolumeDown: 17,
  AudioVolumeMute: 22,
  BrowserBack: 2,
};
for (let index = 0; index < 26; index++) CODES[`Key${String.fromCharCode(65 + index)}`] = 2017 + index;
for (let index = 0; index < 10; index++) {
  CODES[`Digit${index}`] = 2000 + index;
  CODES[`Numpad${index}`] = 2103 + index;
}
for (let index = 1; index <= 12; index++) CODES[`F${index}`] = 2089 + index;

export const keyCode = (domCode) => CODES[domCode] ?? 0;

/** A KeyEvent of ArkUI. `stopPropagation` and a handler's `true` both keep it from going further. */
export function keyEvent(event) {
  const modifiers = { ctrl: event.ctrlKey, shift: event.shiftKey, alt: event.altKey, fn: false };
  const made = {
    type: event.type === "keyup" ? 1 : 0,
    keyCode: keyCode(event.code),
    keyText: event.key,
    keySource: env.enums.KeySource.Keyboard,
    deviceId: 0,
    metaKey: event.metaKey ? 1 : 0,
    timestamp: Math.round((event.timeStamp ?? 0) * 1e6),
    intentionCode: -1,
    unicode: event.key?.length === 1 ? event.key.codePointAt(0) : 0,
    stopPropagation: () => {
      event.stopPropagation();
      made.$taken = true;
    },
    getModifierKeyState: (keys) => keys.every((key) => modifiers[key.toLowerCase()] ?? false),
  };
  return made;
}
