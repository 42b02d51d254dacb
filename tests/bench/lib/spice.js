// QEMU's SPICE server, seen through spice-html5. The server itself takes WebSockets (libspice-server 0.15).
import { existsSync } from "node:fs";
import { join } from "node:path";
import { until } from "../../e2e/lib/processes.js";
import { version } from "./machine.js";
import { PageView } from "./page.js";
import { qemuFor, qemuMissing, startQemu } from "./qemu.js";
import { freePort, listens, serve } from "./serve.js";

/** Debian's package: of the folder that QEMU is in, or installed. */
const clientRoot = (arch) =>
  [qemuFor(arch)?.tree, "/"].map((tree) => tree && join(tree, "usr/share/spice-html5")).find((path) => path && existsSync(path));

const clientVersion = (arch) =>
  qemuFor(arch).packages?.["spice-html5"] ?? version("dpkg-query", "--show", "--showformat=${Version}", "spice-html5");

export function spiceSide(name, setting) {
  const { arch, size } = setting;
  return {
    name,
    missing: () => qemuMissing(arch, "-spice") ?? (clientRoot(arch) ? undefined : "spice-html5 is not installed: tests/bench/stock --peers"),
    versions: () => ({ qemu: qemuFor(arch).version, "spice-html5": clientVersion(arch) }),
    async start(browser) {
      const port = await freePort();
      const qemu = startQemu(setting, ["-display", "none", "-spice", `addr=127.0.0.1,port=${port},disable-ticketing=on`]);
      const site = await serve({
        title: "SPICE", body: '<div id="screen"></div><div id="messages" hidden></div>', script: SCRIPT, root: clientRoot(arch), files: /\.js$/,
      });
      return {
        ...qemu.host,
        open: async () => {
          await until(() => listens({ port, host: "127.0.0.1" }), () => `QEMU's SPICE to listen: ${qemu.log()}`, 30_000, 5);
          return PageView.open(browser, size, "canvas", `${site.url}/?port=${port}`);
        },
        stop: async () => {
          await qemu.host.stop();
          site.close();
        },
      };
    },
  };
}

const SCRIPT = `import { SpiceMainConn } from "/main.js";
import { SpiceDisplayConn } from "/display.js";
globalThis.sampanEncodings = {};
const draw = SpiceDisplayConn.prototype.draw_copy_helper;
SpiceDisplayConn.prototype.draw_copy_helper = function (image) {
  const name = image.tag.split(".")[0];
  const { left, top, right, bottom } = image.base.box;
  globalThis.sampanEncodings[name] = (globalThis.sampanEncodings[name] ?? 0) + (right - left) * (bottom - top);
  return draw.call(this, image);
};
const port = new URLSearchParams(location.search).get("port");
globalThis.spice = new SpiceMainConn({
  uri: "ws://127.0.0.1:" + port + "/", screen_id: "screen", message_id: "messages", password: "", onerror: (error) => console.error(error),
});
// It takes keys while its canvas has the focus.
const focus = new MutationObserver(() => document.querySelector("canvas")?.focus());
focus.observe(document.getElementById("screen"), { childList: true });
`;
