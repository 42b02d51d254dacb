// The things that are compared. Each starts a VM with the tiny guest and shows it in a page.
import http from "node:http";
import { existsSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { createServer } from "node:net";
import { dirname, join, normalize } from "node:path";
import { fileURLToPath } from "node:url";
import { Guest, guestFiles, guestPortArgs } from "../../e2e/lib/guest.js";
import { Sampan } from "../../e2e/lib/sampan.js";
import { folder, start, until } from "../../e2e/lib/processes.js";
import { startCanvasProbe, startVideoProbe } from "./probe.js";

/** Sampan itself, in its own process or a child, seen through its page. */
export function sampanSide({ arch, size, memory, cpus, child }) {
  return {
    name: child ? "sampan-child" : "sampan",
    startProbe: startVideoProbe,
    async start(browser) {
      const sampan = await Sampan.run({
        arch,
        memory,
        flags: [child ? "--child" : "--in-process", "--cpus", String(cpus)],
        guest: false,
      });
      return {
        pid: () => (child ? sampan.children()[0] : sampan.pid),
        encoderPid: () => sampan.pid,
        guest: () => Guest.connect(join(sampan.dir, "guest")),
        open: async () => {
          const page = await newPage(browser, size);
          await page.goto(sampan.url);
          return page;
        },
        hasPicture: (page) => page.evaluate(videoHasPicture),
        status: () => status(sampan),
        stop: () => sampan.stop(),
      };
    },
  };
}

/** Runs in the page: something is to be seen in the corner where firmware and guests write first. */
function videoHasPicture() {
  const video = document.querySelector("video");
  if (!video?.videoWidth) return false;
  const [width, height] = [Math.min(video.videoWidth, 400), Math.min(video.videoHeight, 100)];
  const context = new OffscreenCanvas(width, height).getContext("2d");
  context.drawImage(video, 0, 0, width, height, 0, 0, width, height);
  return context.getImageData(0, 0, width, height).data.some((value, i) => i % 4 !== 3 && value > 40);
}

/** What the server tells of itself, if it does. */
async function status(sampan) {
  const answer = await fetch(`${sampan.origin}/status`, {
    headers: { Authorization: `Bearer ${sampan.token}` },
  });
  return answer.ok ? answer.json() : undefined;
}

/** The machine that Sampan makes (native/config/src/argv.rs), for the distribution's QEMU. */
const QEMU = {
  x86_64: {
    program: "qemu-system-x86_64",
    args: ["-machine", "q35", "-cpu", "max,la57=off"],
    display: "virtio-vga",
    keyboard: [],
  },
  aarch64: {
    program: "qemu-system-aarch64",
    args: ["-machine", "virt,gic-version=3", "-cpu", "max,pauth-impdef=on"],
    display: "virtio-gpu-pci",
    keyboard: ["-device", "usb-kbd,bus=usb.0"],
  },
};

/** The distribution's QEMU with its own VNC server, seen through noVNC in the same browser. */
export function vncSide({ arch, size, memory, cpus }) {
  return {
    name: "qemu-vnc-novnc",
    startProbe: startCanvasProbe,
    async start(browser) {
      const { program, args, display, keyboard } = QEMU[arch];
      const port = join(folder("bench"), "guest");
      const { kernel, initrd } = guestFiles(arch);
      const vnc = await freePort();
      // As on the other side.
      const words = arch === "aarch64" ? "console=ttyAMA0 quiet" : "console=ttyS0 quiet no_timer_check";
      const qemu = start(program, [
        "-nodefaults", "-no-user-config", "-name", "debug-threads=on", ...args, "-accel", "tcg",
        "-smp", String(cpus), "-m", `${memory}M`, "-serial", "null",
        "-kernel", kernel, "-initrd", initrd, "-append", words,
        "-device", `${display},xres=${size.width},yres=${size.height}`, "-device", "qemu-xhci,id=usb", ...keyboard,
        "-device", "usb-tablet,bus=usb.0", "-device", "virtio-rng-pci", "-netdev", "user,id=net0,ipv6=off",
        "-device", "virtio-net-pci,netdev=net0,romfile=",
        "-vnc", `127.0.0.1:99,to=400,websocket=127.0.0.1:${vnc}`, ...guestPortArgs(port),
      ]);
      qemu.stdout.resume();
      let log = "";
      qemu.stderr.setEncoding("utf8").on("data", (text) => (log += text));
      const site = await serveNoVnc();
      return {
        pid: () => qemu.pid,
        encoderPid: () => qemu.pid,
        guest: () => Guest.connect(port),
        open: async () => {
          await until(() => listens(vnc), () => `QEMU's VNC to listen: ${log}`, 30_000, 5);
          const page = await newPage(browser, size);
          await page.goto(`${site.url}/?port=${vnc}`);
          return page;
        },
        hasPicture: (page) => page.evaluate(() => globalThis.sampanVncPicture === true),
        status: async () => undefined,
        stop: async () => {
          qemu.kill("SIGKILL");
          await qemu.exited;
          site.close();
        },
      };
    },
  };
}

async function newPage(browser, size) {
  const context = await browser.newContext({ viewport: size });
  return context.newPage();
}

function listens(port) {
  return fetch(`http://127.0.0.1:${port}/`).then(() => true, (error) => error.cause?.code !== "ECONNREFUSED");
}

function freePort() {
  return new Promise((resolve) => {
    const server = createServer().listen(0, "127.0.0.1", () => {
      const { port } = server.address();
      server.close(() => resolve(port));
    });
  });
}

const root = novncRoot();

function novncRoot() {
  try {
    const entry = createRequire(import.meta.url).resolve("@novnc/novnc");
    return dirname(dirname(entry));
  } catch {
    return undefined;
  }
}

/** Whether the peer can be measured here, or why not. */
export function vncMissing(arch) {
  if (root === undefined) return "noVNC is not installed: npm ci in tests/bench";
  const { program } = QEMU[arch];
  const found = (process.env.PATH ?? "").split(":").some((path) => existsSync(join(path, program)));
  return found ? undefined : `${program} is not installed`;
}

export const novncVersion = () =>
  root === undefined ? "not there" : JSON.parse(readFileSync(join(root, "package.json"), "utf8")).version;

const PAGE = `<!doctype html><meta charset="utf-8"><title>noVNC</title>
<style>html,body,#screen{margin:0;height:100%;overflow:hidden}</style><div id="screen"></div>
<script type="module" src="/page.js"></script>`;

const SCRIPT = `import RFB from "/core/rfb.js";
const port = new URLSearchParams(location.search).get("port");
const rfb = new RFB(document.getElementById("screen"), "ws://127.0.0.1:" + port);
// Local quality settings of noVNC as they come.
rfb.addEventListener("connect", () => rfb.focus());
const wait = () => {
  const canvas = document.querySelector("canvas");
  const drawn = canvas && canvas.width > 0
    && canvas.getContext("2d").getImageData(0, 0, Math.min(canvas.width, 400), Math.min(canvas.height, 100))
      .data.some((value, index) => index % 4 !== 3 && value > 40);
  if (drawn) { globalThis.sampanVncPicture = true; return; }
  setTimeout(wait, 10);
};
rfb.addEventListener("connect", wait);
globalThis.rfb = rfb;
`;

function serveNoVnc() {
  const server = http.createServer((request, response) => {
    const path = normalize(new URL(request.url, "http://localhost").pathname);
    const send = (type, body) => response.writeHead(200, { "Content-Type": type }).end(body);
    if (path === "/") return send("text/html", PAGE);
    if (path === "/page.js") return send("text/javascript", SCRIPT);
    const file = join(root, path);
    if (!/^\/(core|vendor)\//.test(path) || !existsSync(file)) return response.writeHead(404).end();
    return send("text/javascript", readFileSync(file));
  });
  return new Promise((resolve) => {
    server.listen(0, "127.0.0.1", () => {
      const close = () => {
        server.close();
        server.closeAllConnections();
      };
      resolve({ url: `http://127.0.0.1:${server.address().port}`, close });
    });
  });
}
