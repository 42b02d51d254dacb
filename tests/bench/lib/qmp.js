// Commands to QEMU's monitor (QMP, docs/interop/qmp-spec.rst of QEMU).
import { once } from "node:events";
import net from "node:net";
import { createInterface } from "node:readline";
import { deadline, until } from "../../e2e/lib/processes.js";

/** QEMU on a busy machine. */
const PATIENCE_MS = 30_000;

export class Qmp {
  #socket;
  #waiting = [];

  /** Connects to the monitor's socket as soon as QEMU has made it. */
  static async connect(path) {
    const qmp = new Qmp();
    qmp.#socket = await until(async () => {
      const socket = net.connect(path);
      return once(socket, "connect").then(() => socket, () => undefined);
    }, "QEMU's monitor", PATIENCE_MS);
    qmp.#socket.on("error", () => {});
    createInterface({ input: qmp.#socket }).on("line", (line) => {
      const message = JSON.parse(line);
      // Answers come in the order of the commands; what else comes are the greeting and events.
      if ("return" in message || "error" in message) qmp.#waiting.shift()?.(message);
    });
    await qmp.execute("qmp_capabilities");
    return qmp;
  }

  async execute(command, values) {
    const answer = new Promise((resolve) => this.#waiting.push(resolve));
    this.#socket.write(`${JSON.stringify({ execute: command, arguments: values })}\n`);
    const message = await deadline(answer, PATIENCE_MS, `QEMU's answer to ${command}`);
    if (message.error) throw new Error(`QEMU refused ${command}: ${message.error.desc}`);
    return message.return;
  }

  close() {
    this.#socket.destroy();
  }
}
