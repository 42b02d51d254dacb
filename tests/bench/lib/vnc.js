// QEMU's own VNC server, seen through noVNC.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { until } from "../../e2e/lib/processes.js";
import { PageView } from "./page.js";
import { qemuFor, qemuMissing, startQemu } from "./qemu.js";
import { freePort, serve } from "./serve.js";

const root = novncRoot();

function novncRoot() {
  try {
    const entry = createRequire(import.meta.url).resolve("@novnc/novnc");
    return dirname(dirname(entry));
  } catch {
    return undefined;
  }
}

/** `encoding` is what noVNC asks for before all others: Tight, as it does by itself, or ZRLE. */
export function vncSide(name, setting, encoding) {
  return {
    name,
    missing: () => (root === undefined ? "noVNC is not installed: npm ci in tests/bench" : qemuMissing(setting.arch, "-vnc")),
    versions: () => ({ qemu: qemuFor(setting.arch).version, novnc: JSON.parse(readFileSync(join(root, "package.json"), "utf8")).version }),
    async start(browser) {
      const port = await freePort();
      const qemu = startQemu(setting, ["-vnc", `127.0.0.1:99,to=400,websocket=127.0.0.1:${port}`]);
      const site = await serve({
        title: "noVNC", style: "#screen{height:100%}", body: '<div id="screen"></div>', script: SCRIPT, root, files: /^\/(core|vendor)\//,
      });
      return {
        ...qemu.host,
        open: async () => {
          await until(() => listens(port), () => `QEMU's VNC to listen: ${qemu.log()}`, 30_000, 5);
          return PageView.open(browser, setting.size, "canvas", `${site.url}/?port=${port}&encoding=${encoding}`);
        },
        stop: async () => {
          await qemu.host.stop();
          site.close();
        },
      };
    },
  };
}

function listens(port) {
  return fetch(`http://127.0.0.1:${port}/`).then(() => true, (error) => error.cause?.code !== "ECONNREFUSED");
}

// QEMU takes the first encoding of the client's list that it knows (set_encodings in ui/vnc.c), and noVNC puts Tight first. Quality
// and compression are noVNC's own.
const SCRIPT = `import RFB from "/core/rfb.js";
import { encodings, encodingName } from "/core/encodings.js";
const query = new URLSearchParams(location.search);
const wanted = encodings["encoding" + query.get("encoding")];
const send = RFB.messages.clientEncodings;
RFB.messages.clientEncodings = (socket, list) => send(socket, [wanted, ...list.filter((one) => one !== wanted)]);
const rfb = new RFB(document.getElementById("screen"), "ws://127.0.0.1:" + query.get("port"));
globalThis.sampanEncodings = {};
for (const [number, decoder] of Object.entries(rfb._decoders)) {
  const name = encodingName(Number(number));
  const decode = decoder.decodeRect.bind(decoder);
  decoder.decodeRect = (x, y, width, height, ...more) => {
    const done = decode(x, y, width, height, ...more);
    if (done) globalThis.sampanEncodings[name] = (globalThis.sampanEncodings[name] ?? 0) + width * height;
    return done;
  };
}
rfb.addEventListener("connect", () => rfb.focus());
`;
