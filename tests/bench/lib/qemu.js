// The distribution's QEMU, with the machine that Sampan makes, for the sides that Sampan is compared with.
import { execFileSync, spawnSync } from "node:child_process";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { Guest, guestFiles, guestPortArgs } from "../../e2e/lib/guest.js";
import { folder, start } from "../../e2e/lib/processes.js";
import { version } from "./machine.js";
import { Qmp } from "./qmp.js";

/** As Sampan's (native/config). */
const MACHINES = {
  x86_64: { args: ["-machine", "q35", "-cpu", "max,la57=off"], display: "virtio-vga", keyboard: [] },
  aarch64: {
    args: ["-machine", "virt,gic-version=3", "-cpu", "max,pauth-impdef=on"],
    display: "virtio-gpu-pci",
    keyboard: ["-device", "usb-kbd,bus=usb.0"],
  },
};
const found = new Map();

/** The QEMU that tests/bench/stock has put into a folder with its modules, else the one that is installed; undefined without either. */
export function qemuFor(arch) {
  if (!found.has(arch)) found.set(arch, search(arch));
  return found.get(arch);
}

function search(arch) {
  try {
    const script = fileURLToPath(new URL("../stock", import.meta.url));
    const stock = execFileSync(script, ["--peers", "--offline", "--arch", arch], { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] });
    return JSON.parse(stock);
  } catch {
    // It is not there.
  }
  const program = `qemu-system-${arch}`;
  const words = version(program, "--version");
  return /version/.test(words) ? { command: [program], environment: {}, version: words.replace(/^.*version /, ""), tree: "/" } : undefined;
}

/** Why this QEMU cannot show a screen by an option, whose module may be a package of its own: its help must have `sign`. */
export function qemuMissing(arch, option, sign = /options:/) {
  const qemu = qemuFor(arch);
  if (qemu === undefined) return `qemu-system-${arch} is not installed: tests/bench/stock --peers`;
  // It ends with 1 in some cases in which it prints help.
  const { stdout } = spawnSync(qemu.command[0], [...qemu.command.slice(1), option, "help"], {
    env: { ...process.env, ...qemu.environment }, encoding: "utf8", stdio: ["ignore", "pipe", "ignore"],
  });
  return sign.test(stdout) ? undefined : `QEMU ${qemu.version} cannot do ${option}: tests/bench/stock --peers`;
}

/** Starts the tiny guest; `screen` are the arguments that show its screen. */
export function startQemu({ arch, size, memory, cpus }, screen, environment = {}) {
  const { args, display, keyboard } = MACHINES[arch];
  const qemu = qemuFor(arch);
  const dir = folder("bench");
  const [port, monitor] = [join(dir, "guest"), join(dir, "qmp")];
  const { kernel, initrd } = guestFiles(arch);
  const words = arch === "aarch64" ? "console=ttyAMA0 quiet" : "console=ttyS0 quiet no_timer_check";
  const child = start(qemu.command[0], [
    ...qemu.command.slice(1), "-nodefaults", "-no-user-config", "-name", "debug-threads=on", ...args, "-accel", "tcg",
    "-smp", String(cpus), "-m", `${memory}M`, "-serial", "null", "-kernel", kernel, "-initrd", initrd, "-append", words,
    "-device", `${display},xres=${size.width},yres=${size.height}`, "-device", "qemu-xhci,id=usb", ...keyboard,
    "-device", "usb-tablet,bus=usb.0", "-device", "virtio-rng-pci", "-netdev", "user,id=net0,ipv6=off",
    "-device", "virtio-net-pci,netdev=net0,romfile=", "-qmp", `unix:${monitor},server=on,wait=off`, ...screen, ...guestPortArgs(port),
  ], { env: { ...process.env, ...qemu.environment, ...environment } });
  child.stdout.resume();
  let log = "";
  child.stderr.setEncoding("utf8").on("data", (text) => (log = (log + text).slice(-20_000)));
  let connected;
  const monitored = async (command, values) => (await (connected ??= Qmp.connect(monitor))).execute(command, values);
  return {
    log: () => log,
    host: {
      pid: () => child.pid,
      encoderPid: () => child.pid,
      guest: () => Guest.connect(port),
      screenshot: (filename) => monitored("screendump", { filename, format: "png" }),
      pause: () => monitored("stop"),
      resume: () => monitored("cont"),
      status: async () => undefined,
      stop: async () => {
        (await connected)?.close();
        child.kill("SIGKILL");
        await child.exited;
      },
    },
  };
}
