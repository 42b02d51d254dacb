// Runs `sampan serve` on a library of its own.
import assert from "node:assert/strict";
import { once } from "node:events";
import { readFileSync, readdirSync } from "node:fs";
import net from "node:net";
import { createInterface } from "node:readline";
import { Guest, guestFiles } from "./guest.js";
import { deadline, folder, run, start } from "./processes.js";
import { program } from "./sampan.js";

/** A library in a folder that is removed at the end. Machines that were started must be stopped before. */
export class Library {
  home = folder("library");
  #ends = [];

  get env() {
    return { SAMPAN_HOME: this.home };
  }

  /** A command of the program, which must succeed; its answer as JSON. */
  async sampan(...args) {
    const { code, stdout, stderr } = await run(program, [...args, "--json"], { env: this.env, timeoutMs: 180_000 });
    assert.equal(code, 0, `sampan ${args.join(" ")}: ${stdout}${stderr}`);
    return JSON.parse(stdout);
  }

  /** Makes a machine that boots the tiny guest, with more settings if they are wanted, and starts it; the answer of `start`. */
  async startTiny(name, ...settings) {
    const { kernel, initrd } = guestFiles("x86_64");
    await this.sampan("new", name, "--no-disk", "--memory", "256M", "--cpus", "1", "--arch", "x86_64");
    for (const [medium, file] of Object.entries({ kernel, initrd })) {
      await this.sampan("images", "add", file, "--name", medium, "--yes");
    }
    const boot = JSON.stringify({ kernel: "kernel", initrd: "initrd", append: "console=ttyS0 quiet no_timer_check" });
    await this.sampan("set", name, `firmware.kernel=${boot}`, "firmware.kind=bios", ...settings);
    return this.sampan("start", name);
  }

  /** The same with the guest's own port: the answer of `start`, and the guest. */
  async startTinyWithPort(name) {
    const server = net.createServer().listen(0, "127.0.0.1");
    this.#ends.push(() => server.close());
    await once(server, "listening");
    const port = JSON.stringify([
      "-chardev", `socket,id=guest,host=127.0.0.1,port=${server.address().port}`,
      "-device", "virtserialport,chardev=guest,name=sampan.guest",
    ]);
    const arrived = Guest.behind(server);
    const started = await this.startTiny(name, `extra.arguments=${port}`);
    const guest = await arrived;
    this.#ends.push(() => guest.close());
    return { ...started, guest };
  }

  /** Ends whatever still runs: supervisors outlive whoever started them. */
  async close() {
    for (const { name, state } of await this.sampan("list")) {
      if (state !== "stopped" && state !== "suspended") await this.sampan("stop", name, "--force");
    }
    for (const end of this.#ends.splice(0)) end();
  }
}

export class Console {
  log = "";

  static async serve(library, flags = []) {
    const console = new Console();
    const child = start(program, ["serve", ...flags], { env: { ...process.env, ...library.env } });
    console.child = child;
    child.stderr.setEncoding("utf8").on("data", (text) => {
      console.log = (console.log + text).slice(-100_000);
    });
    const url = new Promise((resolve, reject) => {
      createInterface({ input: child.stdout }).on("line", (line) => {
        const found = /^console: (http\S+)$/.exec(line);
        if (found) resolve(found[1]);
      });
      child.exited.then((exit) => reject(new Error(`it ended (${JSON.stringify(exit)}):\n${console.log}`)));
    });
    console.url = await deadline(url, 60_000, () => `the console's address:\n${console.log}`);
    return console;
  }

  get origin() {
    return new URL(this.url).origin;
  }

  get token() {
    return new URLSearchParams(new URL(this.url).hash.slice(1)).get("token");
  }

  /** Process ids of its children, dead ones too. */
  children() {
    return readdirSync(`/proc/${this.child.pid}/task`)
      .flatMap((task) => readFileSync(`/proc/${this.child.pid}/task/${task}/children`, "utf8").split(" "))
      .filter((pid) => pid.trim() !== "");
  }

  /** Ctrl-C. */
  async end() {
    this.child.kill("SIGINT");
    return deadline(this.child.exited, 30_000, () => `the console to end:\n${this.log}`)
      .finally(() => this.child.kill("SIGKILL"));
  }
}
