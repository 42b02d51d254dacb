// Runs files of tests in Node.js, some of them at a time. Those that took longest in the last run begin first, so that the lanes
// end together; `node --test` takes files by name, and its last one may be the longest.
//
//   node tests/run.js NAME LANES LIMIT FILE…
//
// NAME tells what the durations are kept as, in ${XDG_CACHE_HOME:-~/.cache}/sampan/durations; LIMIT is in seconds, for each
// file. Runs in the folder where it is started; ends with 1 if a test fails.
import { mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { homedir } from "node:os";
import { basename, join, resolve } from "node:path";
import { run } from "node:test";
import { spec } from "node:test/reporters";

const [name, lanes, limit, ...files] = process.argv.slice(2);
if (!(Number(lanes) > 0 && Number(limit) > 0 && files.length > 0)) {
  console.error("usage: node tests/run.js NAME LANES LIMIT FILE…");
  process.exit(2);
}
const kept = join(process.env.XDG_CACHE_HOME || join(homedir(), ".cache"), "sampan/durations", `${name}.json`);

/** Seconds by a file's name. They are only a guess of what is to come: without them the order is that of the arguments. */
function known() {
  try {
    return Object.fromEntries(Object.entries(JSON.parse(readFileSync(kept, "utf8"))).filter(([, seconds]) => Number.isFinite(seconds)));
  } catch {
    return {};
  }
}

function keep(durations) {
  try {
    mkdirSync(join(kept, ".."), { recursive: true });
    // Whole or not at all, also when two runs end at once.
    writeFileSync(`${kept}.${process.pid}`, JSON.stringify({ ...known(), ...durations }));
    renameSync(`${kept}.${process.pid}`, kept);
  } catch (error) {
    console.error(`the durations were not kept: ${error.message}`);
  }
}

const before = known();
// A file that is new may be long.
const guess = (file) => before[basename(file)] ?? Infinity;
const order = files.map((file) => resolve(file)).sort((one, other) => guess(other) - guess(one) || 0);
const durations = {};
run({ files: order, concurrency: Number(lanes), timeout: Number(limit) * 1000, forceExit: true })
  .on("test:fail", () => (process.exitCode = 1))
  .on("test:complete", ({ name: file, details }) => {
    if (order.includes(file)) durations[basename(file)] = Math.round(details.duration_ms / 100) / 10;
  })
  .compose(spec)
  .on("end", () => {
    // A run that fails tells nothing of how long its files take.
    if (process.exitCode !== 1) keep(durations);
  })
  .pipe(process.stdout);
