// Requests over a machine's control socket (docs/control.md).
import net from "node:net";
import { createInterface } from "node:readline";
import { deadline } from "./processes.js";

/** A request over the machine's control socket: its answer. */
export async function control(sampan, request) {
  const socket = net.connect(sampan.control);
  try {
    const answer = new Promise((resolve, reject) => {
      createInterface({ input: socket }).on("line", (line) => {
        const told = JSON.parse(line);
        if (told.ok || told.error) resolve(told);
      });
      socket.on("error", reject);
    });
    socket.write(`${JSON.stringify({ version: 2, ...request })}\n`);
    return await deadline(answer, 90_000, `an answer to ${request.command}`);
  } finally {
    socket.destroy();
  }
}
