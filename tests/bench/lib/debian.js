// A Debian guest on a QEMU of ours or of a distribution: the same machine on both, worked by its serial console.
import { once } from "node:events";
import { readFileSync, readdirSync } from "node:fs";
import net from "node:net";
import { join } from "node:path";
import { folder, sleep, start } from "../../e2e/lib/processes.js";

/** An emulated PC on a busy machine. */
const BOOT_MS = 300_000;
const PROMPT = /root@[^:]*:~# $/;
/** The console's text that is kept. */
const KEPT = 20_000;

/** The same for an Arm machine, which is given its kernel and its programs. */
function armMachine({ cpu, cpus, memory, image, console, accel = "tcg,thread=multi" }) {
  return [
    "-nodefaults", "-no-user-config", "-name", "bench,debug-threads=on", "-machine", "virt", "-accel", accel, "-cpu", cpu,
    "-smp", String(cpus), "-m", `${memory}M`, "-display", "none", "-serial", `unix:${console},server=on,wait=off`,
    "-kernel", join(image, "kernel"), "-initrd", join(image, "initrd"), "-append", "console=ttyAMA0 quiet", "-device", "virtio-rng-pci",
  ];
}

/** QEMU's arguments for the machine that a new one for Linux is (docs/machines.md), but with a plain VGA, and with the image read only. */
function machine({ cpu, cpus, memory, image, firmware, console, share, accel = "tcg,thread=multi" }) {
  const shared = share
    ? ["-fsdev", `local,id=share,path=${share},security_model=none,readonly=on`, "-device", "virtio-9p-pci,fsdev=share,mount_tag=share"]
    : [];
  return [
    "-nodefaults", "-no-user-config", "-name", "bench,debug-threads=on", "-machine", "q35", "-accel", accel, "-cpu", cpu,
    "-smp", String(cpus), "-m", `${memory}M`, "-display", "none", "-serial", `unix:${console},server=on,wait=off`,
    "-drive", `if=pflash,unit=0,format=raw,readonly=on,file=${firmware}/OVMF_CODE_4M.fd`,
    "-drive", `if=pflash,unit=1,format=raw,snapshot=on,file=${firmware}/OVMF_VARS_4M.fd`,
    "-drive", `if=none,id=disk0,format=qcow2,discard=unmap,snapshot=on,file=${image}`,
    "-device", "virtio-scsi-pci,id=vscsi", "-device", "scsi-cd,bus=vscsi.0,bootindex=0",
    "-device", "virtio-blk-pci,drive=disk0,bootindex=1", "-device", "VGA", "-device", "qemu-xhci,id=usb",
    "-device", "usb-tablet,bus=usb.0", "-device", "virtio-rng-pci", "-netdev", "user,id=net0,ipv6=off",
    "-device", "virtio-net-pci,netdev=net0,romfile=", "-audiodev", "none,id=audio0", "-device", "intel-hda,id=hda",
    "-device", "hda-output,bus=hda.0,audiodev=audio0", "-device", "virtio-serial-pci", ...shared,
  ];
}

/** A running guest. */
export class Debian {
  #text = "";
  #waiting;

  /** Boots it; `boot` is from the program's start to the prompt: milliseconds, and those of them that its threads ran. */
  static async boot({ command, environment }, options) {
    const debian = new Debian();
    const console = join(folder("bench"), "console");
    const began = performance.now();
    const parts = options.arch === "aarch64" ? armMachine : machine;
    debian.process = start(command[0], [...command.slice(1), ...parts({ ...options, console })], {
      env: { ...process.env, ...environment },
    });
    debian.process.stdout.resume();
    let log = "";
    debian.process.stderr.setEncoding("utf8").on("data", (text) => (log = (log + text).slice(-KEPT)));
    try {
      await debian.#connect(console);
      await debian.#until(PROMPT, BOOT_MS);
      debian.boot = { wall: performance.now() - began, cpu: debian.#cpuMs() };
      await debian.run("stty -echo; PS1=; bind 'set enable-bracketed-paste off' 2>/dev/null");
    } catch (error) {
      await debian.stop();
      throw new Error(`${error.message}\n${debian.#text}\n${log}`);
    }
    return debian;
  }

  /** Runs a line of the shell, which must end well: how many milliseconds it took and its threads ran, and what it printed. */
  async run(line, timeoutMs = BOOT_MS) {
    this.#text = "";
    const [began, ran] = [performance.now(), this.#cpuMs()];
    // The mark does not stand in the line, which may be echoed.
    this.#socket.write(`{ ${line}\n}; printf '\\n@%s:%d\\n' end $?\n`);
    const found = await this.#until(/@end:(\d+)\r?\n/, timeoutMs);
    const [wall, cpu] = [performance.now() - began, this.#cpuMs() - ran];
    if (found[1] !== "0") throw new Error(`in the guest: ${line}: ${this.#text}`);
    return { wall, cpu, text: this.#text.slice(0, found.index) };
  }

  /** What QEMU's threads have run so far. */
  #cpuMs() {
    const tasks = `/proc/${this.process.pid}/task`;
    return readdirSync(tasks).reduce((sum, task) => {
      try {
        return sum + Number(readFileSync(`${tasks}/${task}/schedstat`, "utf8").split(" ")[0]) / 1e6;
      } catch {
        return sum; // It ended while we looked.
      }
    }, 0);
  }

  async stop() {
    this.#socket?.destroy();
    this.process.kill("SIGKILL");
    await this.process.exited;
  }

  #socket;

  async #connect(path) {
    const end = Date.now() + BOOT_MS;
    for (;;) {
      try {
        this.#socket = net.connect(path);
        await once(this.#socket, "connect");
        break;
      } catch (error) {
        if (Date.now() > end || this.process.exitCode !== null) throw error;
        await sleep(5);
      }
    }
    this.#socket.setEncoding("utf8").on("data", (text) => {
      this.#text = (this.#text + text).slice(-KEPT);
      this.#waiting?.();
    });
    this.#socket.on("error", () => {});
    this.#socket.on("close", () => this.#waiting?.());
  }

  async #until(pattern, timeoutMs) {
    const end = Date.now() + timeoutMs;
    for (;;) {
      const found = pattern.exec(this.#text);
      if (found) return found;
      if (this.#socket.closed) throw new Error("the guest's console was closed");
      if (Date.now() > end) throw new Error(`waited in vain for ${pattern}`);
      await new Promise((resolve) => {
        this.#waiting = resolve;
        setTimeout(resolve, 1000).unref();
      });
    }
  }
}
