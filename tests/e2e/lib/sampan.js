// Runs the sampan program with the tiny guest in it.
import assert from "node:assert/strict";
import { existsSync, readFileSync, readdirSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { createInterface } from "node:readline";
import { Guest, guestFiles, guestPortArgs } from "./guest.js";
import { deadline, folder, run, start } from "./processes.js";

const root = join(dirname(fileURLToPath(import.meta.url)), "../../..");

/** The program under test; SAMPAN_BIN names another build. */
export const program = process.env.SAMPAN_BIN || join(root, "target/debug/sampan");
if (!existsSync(program)) throw new Error(`${program} is not there: build it, or set SAMPAN_BIN`);

/** Emulated guests on a busy machine take their time; a hang takes longer. */
const BOOT_MS = 180_000;

export class Sampan {
  /** What it printed on stderr, for failures. */
  log = "";
  url;
  guest;

  /**
   * Starts `sampan run` with the tiny guest and waits for the viewer's address.
   * `guest: false` leaves the guest's port alone.
   */
  static async run({ arch = "x86_64", flags = [], qemu = [], guest = true, memory = 256 } = {}) {
    const dir = folder("e2e");
    const port = join(dir, "guest");
    const { kernel, initrd } = guestFiles(arch);
    // A busy machine's emulated timer may fail the check of a PC's kernel.
    const words = arch === "aarch64" ? "console=ttyAMA0 quiet" : "console=ttyS0 quiet no_timer_check";
    const sampan = await Sampan.start([
      "--arch", arch, "--memory", String(memory), "--kernel", kernel, "--initrd", initrd,
      "--append", words, ...flags, "--", ...guestPortArgs(port), ...qemu,
    ], dir);
    try {
      if (guest) sampan.guest = await Guest.connect(port, BOOT_MS);
    } catch (error) {
      await sampan.stop();
      throw new Error(`${error.message}\n${sampan.log}`);
    }
    return sampan;
  }

  /** Starts `sampan run` with these arguments and waits for the viewer's address. */
  static async start(args, dir = folder("e2e")) {
    const sampan = new Sampan();
    sampan.dir = dir;
    sampan.control = join(dir, "ctl");
    const child = start(program, ["run", "--control", sampan.control, ...args]);
    sampan.child = child;
    child.stderr.setEncoding("utf8").on("data", (text) => {
      sampan.log = (sampan.log + text).slice(-100_000);
    });
    const url = new Promise((resolve, reject) => {
      createInterface({ input: child.stdout }).on("line", (line) => {
        const found = /^viewer: (http\S+)$/.exec(line);
        if (found) resolve(found[1]);
      });
      child.exited.then((exit) =>
        reject(new Error(`sampan ended (${JSON.stringify(exit)}) before it was ready:\n${sampan.log}`)));
    });
    try {
      sampan.url = await deadline(url, BOOT_MS, () => `the viewer's address; so far:\n${sampan.log}`);
    } catch (error) {
      await sampan.stop();
      throw error;
    }
    return sampan;
  }

  get pid() {
    return this.child.pid;
  }

  /** The address without the key. */
  get origin() {
    return new URL(this.url).origin;
  }

  get token() {
    return new URLSearchParams(new URL(this.url).hash.slice(1)).get("token");
  }

  /** `sampan ctl`, which must succeed; JSON is read when asked for. */
  async ctl(...args) {
    const { code, stdout, stderr } = await run(program, ["ctl", this.control, ...args]);
    assert.equal(code, 0, `sampan ctl ${args.join(" ")}: ${stderr}`);
    return args.includes("--json") ? JSON.parse(stdout) : stdout;
  }

  /** Waits until the program ends by itself. */
  ended(timeoutMs = 60_000) {
    return deadline(this.child.exited, timeoutMs, () => `sampan to end:\n${this.log}`);
  }

  /** Stops it, by force if it does not listen. */
  async stop() {
    this.guest?.close();
    this.child.kill("SIGTERM");
    await deadline(this.child.exited, 10_000, "sampan to stop").catch(() => this.child.kill("SIGKILL"));
    return this.child.exited;
  }

  /** Process ids of its children, the hosts of VMs. */
  children() {
    return readdirSync(`/proc/${this.pid}/task`)
      .flatMap((task) => readFileSync(`/proc/${this.pid}/task/${task}/children`, "utf8").split(" "))
      .filter((pid) => pid.trim() !== "")
      .map(Number);
  }
}

/** Resident memory of a process, bytes. */
export function residentBytes(pid) {
  const line = /^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"));
  return Number(line?.[1] ?? 0) * 1024;
}
