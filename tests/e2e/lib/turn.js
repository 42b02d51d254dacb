// Debian's coturn: a relay (TURN) with one user.
import assert from "node:assert/strict";
import { createSocket } from "node:dgram";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { deadline, folder, start, until } from "./processes.js";

const PROGRAM = process.env.SAMPAN_TURNSERVER || "/usr/bin/turnserver";

export class Turn {
  log = "";

  /** Listens at an address and port, and relays from the same address. */
  static async start(address, port, user, credential) {
    if (!existsSync(PROGRAM)) throw new Error(`${PROGRAM} is missing: install the package coturn, or set SAMPAN_TURNSERVER`);
    const turn = new Turn();
    const dir = folder("turn");
    turn.child = start(PROGRAM, ["-n", `--listening-ip=${address}`, `--relay-ip=${address}`, `--listening-port=${port}`, "--lt-cred-mech",
      `--user=${user}:${credential}`, "--realm=sampan", "--no-tls", "--no-dtls", "--no-cli", "--log-file=stdout", "--simple-log",
      `--pidfile=${join(dir, "pid")}`, `--userdb=${join(dir, "users")}`]);
    const hear = (text) => {
      turn.log = (turn.log + text).slice(-100_000);
    };
    turn.child.stdout.setEncoding("utf8").on("data", hear);
    turn.child.stderr.setEncoding("utf8").on("data", hear);
    let ended;
    turn.child.exited.then((exit) => {
      ended = exit;
    });
    // A Binding request (RFC 8489, section 5), until it is answered.
    const socket = createSocket("udp4");
    let answered = false;
    socket.on("message", () => {
      answered = true;
    }).on("error", () => {});
    const request = Buffer.from("000100002112a442000102030405060708090a0b", "hex");
    try {
      await until(() => {
        assert.equal(ended, undefined, `coturn ended: ${JSON.stringify(ended)}\n${turn.log}`);
        socket.send(request, port, address);
        return answered;
      }, () => `coturn:\n${turn.log}`);
    } finally {
      socket.close();
    }
    return turn;
  }

  async stop() {
    this.child.kill("SIGKILL");
    await deadline(this.child.exited, 10_000, "coturn to end");
  }
}
