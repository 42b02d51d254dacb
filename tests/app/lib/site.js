// The site that the bridge's server serves: the app with the real module behind a socket.
import { site as make } from "./harness/web.js";

const DEVICES = { phone: "phone", tablet: "tablet", pc: "2in1" };
const LANGUAGES = { zh: "zh_CN", en: "base" };

// `/bridge/boot.js` is the server's: it connects, and sets `sampanHost`.
const BRIDGE = `import "/bridge/boot.js";
export default () => {
  const { native, surface, files } = globalThis.sampanHost;
  const rawfileUrl = (path) => "/rawfile/" + path;
  // The system reads raw files at once, so this waits as well.
  const rawfile = (path) => {
    const request = new XMLHttpRequest();
    request.open("GET", rawfileUrl(path), false);
    request.overrideMimeType("text/plain; charset=x-user-defined");
    request.send();
    if (request.status !== 200) throw Object.assign(new Error("there is no raw file " + path), { code: 9001005 });
    return Uint8Array.from(request.responseText, (letter) => letter.charCodeAt(0) & 0xff);
  };
  return { native, surface, files, rawfile, rawfileUrl };
};
`;

/** `width` is phone, tablet or pc; `language` zh or en. A map from path to text. */
export function site({ width = "phone", language = "zh", dark = false, ...more } = {}) {
  return make({ bridge: BRIDGE, options: { language: LANGUAGES[language] ?? language, dark, device: { type: DEVICES[width] ?? "phone" } }, ...more });
}
