// qemu-rdp on QEMU's D-Bus display, seen through FreeRDP. There is no such client for a browser, so this one draws on a screen of its own
// (Xvfb), whose memory is read: no page, no repaints, and keys are not typed.
import { execFileSync, spawnSync } from "node:child_process";
import { closeSync, existsSync, openSync, readSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { STRIP, readCounter } from "../../e2e/lib/counter.js";
import { folder, run, sleep, start, until } from "../../e2e/lib/processes.js";
import { version } from "./machine.js";
import { qemuFor, qemuMissing, startQemu } from "./qemu.js";
import { freePort, listens } from "./serve.js";

/** How often the screen is looked at: a frame is found so much later at most. */
const LOOK_MS = 1;
const START_MS = 60_000;

/** Where `cargo install qemu-rdp --root` puts it by docs/performance.md, else that of the search path. */
const cache = join(process.env.XDG_CACHE_HOME ?? join(homedir(), ".cache"), "sampan");
const built = join(cache, "bench/qemu-rdp/bin/qemu-rdp");
const program = existsSync(built) ? built : "qemu-rdp";

export function rdpSide(name, setting) {
  const { arch, size } = setting;
  const needed = { [program]: "--version", xfreerdp: "/version", "dbus-daemon": "--version", openssl: "version", ss: "--version", Xvfb: "-help" };
  return {
    name,
    missing: () => {
      const absent = Object.entries(needed).find(([each, flag]) => !printed(each, flag))?.[0];
      return absent ? `${absent} is not installed: docs/performance.md` : qemuMissing(arch, "-display", /^dbus$/m);
    },
    versions: () => ({
      qemu: qemuFor(arch).version, "qemu-rdp": printed(program, "--version"), FreeRDP: clientVersion(),
    }),
    async start() {
      const dir = folder("rdp");
      const bus = `unix:path=${join(dir, "bus")}`;
      const started = [];
      const begin = (command, args, options) => {
        const child = start(command, args, options);
        child.said = "";
        for (const stream of [child.stdout, child.stderr]) {
          stream.setEncoding("utf8").on("data", (text) => (child.said = (child.said + text).slice(-20_000)));
        }
        started.push(child);
        return child;
      };
      const daemon = begin("dbus-daemon", ["--session", "--nofork", "--address", bus]);
      await until(() => listens({ path: join(dir, "bus") }), () => `the bus: ${daemon.said}`, START_MS, 5);
      const qemu = startQemu(setting, ["-display", `dbus,addr=${bus}`]);
      const [key, certificate] = [join(dir, "key.pem"), join(dir, "certificate.pem")];
      const made = await run("openssl", ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost", "-keyout", key, "-out", certificate]);
      if (made.code !== 0) throw new Error(`openssl made no certificate: ${made.stderr}`);
      const port = await freePort();
      const server = begin(program, ["--dbus-address", bus, "serve", "--bind-address", `127.0.0.1:${port}`, "--cert", certificate, "--key", key]);
      const screen = begin("Xvfb", ["-displayfd", "1", "-screen", "0", `${size.width}x${size.height}x24`, "-fbdir", dir, "-nolisten", "tcp", "-noreset"]);
      let client;
      return {
        ...qemu.host,
        encoderPid: () => server.pid,
        clientPids: () => [client.pid, screen.pid],
        open: async () => {
          // It waits for QEMU, then for credentials (CredSSP), and refuses whoever comes before.
          const set = ["--print-reply", "--dest=org.QemuDisplay.RDP", "/org/qemu_display/rdp", "org.QemuDisplay.RDP.SetCredentials",
            ...["bench", "bench", ""].map((word) => `string:${word}`)];
          await until(async () => (await run("dbus-send", [`--bus=${bus}`, ...set])).code === 0, () => `qemu-rdp: ${server.said} ${qemu.log()}`, START_MS);
          await until(() => listens({ port, host: "127.0.0.1" }), () => `qemu-rdp to listen: ${server.said}`, START_MS, 5);
          const number = await until(() => /^\d+$/m.exec(screen.said)?.[0], () => `Xvfb: ${screen.said}`, START_MS, 5);
          client = begin("xfreerdp", [
            `/v:127.0.0.1:${port}`, "/cert:ignore", "/u:bench", "/p:bench", `/size:${size.width}x${size.height}`, "/bpp:32", "/rfx", "-decorations", "/network:lan",
          ], { stdio: ["ignore", "pipe", "pipe"], env: { ...process.env, DISPLAY: `:${number}` } });
          return new ScreenView(join(dir, "Xvfb_screen0"), port);
        },
        stop: async () => {
          await qemu.host.stop();
          for (const child of started.reverse()) {
            child.kill("SIGKILL");
            await child.exited;
          }
        },
      };
    },
  };
}

/** The version that a program prints, whatever it ends with (xfreerdp: 1); undefined if it is not there. */
function printed(command, flag) {
  const { error, stdout = "", stderr = "" } = spawnSync(command, [flag], { encoding: "utf8", timeout: START_MS });
  return error ? undefined : /\d+(?:\.\d+)+/.exec(stdout + stderr)?.[0] ?? "there";
}

/** xfreerdp tells its version on a display alone. */
const clientVersion = () => version("dpkg-query", "--show", "--showformat=${Version}", "freerdp2-x11");

/** Xvfb's screen: a file in the form of xwd (X11/XWDFile.h), which is its memory. */
class ScreenView {
  #file;
  #port;
  #decoded = [];
  #timer;

  constructor(path, port) {
    this.#file = openSync(path, "r");
    this.#port = port;
    const header = Buffer.alloc(100);
    readSync(this.#file, header, 0, header.length, 0);
    const field = (index) => header.readUInt32BE(index * 4);
    this.width = field(4);
    this.height = field(5);
    this.stride = field(12);
    // Its colours lie before the pixels, each of 12 bytes.
    this.begin = field(0) + field(19) * 12;
    this.strip = Buffer.alloc(this.stride * STRIP.height);
  }

  // Pixels are blue, green, red and nothing.
  #lines(bytes) {
    readSync(this.#file, bytes, 0, bytes.length, this.begin);
    return bytes;
  }

  #counter(bytes) {
    return readCounter((x, y) => bytes[y * this.stride + x * 4 + 1]);
  }

  now = async () => Number(process.hrtime.bigint()) / 1e6;
  clock = async () => ({ offset: 0, error: LOOK_MS * 1e6 });
  hasPicture = async () => this.#lines(this.strip).some((value, i) => i % 4 !== 3 && value > 40);
  encodings = async () => ({});

  /** By the kernel's count of the client's connection. */
  received = async () => {
    const text = execFileSync("ss", ["-tinOH", "state", "established", `( dport = :${this.#port} )`], { encoding: "utf8" });
    return Number(/bytes_received:(\d+)/.exec(text)?.[1] ?? 0);
  };

  startProbe = async () => {
    let last = this.#counter(this.#lines(this.strip));
    this.#decoded = [];
    this.#timer = setInterval(() => {
      const at = Number(process.hrtime.bigint()) / 1e6;
      const counter = this.#counter(this.#lines(this.strip));
      if (counter === undefined || counter === last) return;
      last = counter;
      this.#decoded.push([counter, at]);
    }, LOOK_MS);
  };

  /** What is on this screen is shown. */
  stopProbe = async () => {
    clearInterval(this.#timer);
    return { decoded: this.#decoded, shown: this.#decoded, keys: [] };
  };

  async pictures(times) {
    const all = [];
    for (const time of times) {
      const wait = time - (await this.now());
      if (wait > 0) await sleep(wait);
      const at = await this.now();
      const lines = this.#lines(Buffer.alloc(this.stride * this.height));
      const data = Buffer.alloc(this.width * this.height * 4, 255);
      for (let y = 0; y < this.height; y++) {
        for (let x = 0, from = y * this.stride, to = y * this.width * 4; x < this.width; x++, from += 4, to += 4) {
          [data[to], data[to + 1], data[to + 2]] = [lines[from + 2], lines[from + 1], lines[from]];
        }
      }
      all.push({ at, width: this.width, height: this.height, data });
    }
    return all;
  }

  close = async () => closeSync(this.#file);
}
