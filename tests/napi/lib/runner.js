// An app in a process of its own: `run` makes a machine and runs it, `look` tells what is known of it afterwards.
import { closeSync, mkdirSync, openSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { native, qemu } from "./module.js";
import { painted, paintingMachine, state } from "./machines.js";

const [home, what, machine] = process.argv.slice(2);
mkdirSync(home, { recursive: true });
const ends = await native.host.init(join(home, "library"), qemu);
if (what === "run") {
  const id = await paintingMachine(home, "victim");
  await native.life.start(id).run();
  await painted(id, "green");
  console.log(JSON.stringify({ machine: id }));
  setInterval(() => {}, 1000);
} else {
  const before = await state(machine);
  const report = await native.logs.report(machine);
  await native.logs.dismissReport(machine);
  const dismissed = await state(machine);
  const path = join(home, "logs.txt");
  const fd = openSync(path, "w+");
  await native.logs.exportTo(machine, { fd, name: "logs.txt" }).run();
  closeSync(fd);
  const exported = readFileSync(path, "utf8");
  await native.life.start(machine).run();
  const after = await state(machine);
  await native.life.forceOff(machine);
  console.log(JSON.stringify({ ends, before, report, dismissed, exported, after }));
}
