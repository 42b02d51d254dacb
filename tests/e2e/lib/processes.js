// Starts programs so that none outlives its test: each dies with this process, even if that is killed.
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const living = new Set();
const folders = new Set();

process.on("exit", () => {
  for (const child of living) child.kill("SIGKILL");
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
});
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.on(signal, () => process.exit(130));

/**
 * Starts a program with its output in pipes. `setpriv` (util-linux) execs it with the kernel's
 * promise to kill it when we die, so its process id is the program's own.
 */
export function start(program, args, options = {}) {
  const child = spawn("setpriv", ["--pdeathsig", "KILL", "--", program, ...args], {
    stdio: ["ignore", "pipe", "pipe"],
    ...options,
  });
  living.add(child);
  child.exited = new Promise((resolve) => {
    child.on("error", (error) => resolve({ code: -1, signal: null, error }));
    child.on("exit", (code, signal) => resolve({ code, signal }));
  }).finally(() => living.delete(child));
  return child;
}

/** A folder that is removed at the end; its path is short, since sockets are made in it. */
export function folder(name) {
  const path = mkdtempSync(join(tmpdir(), `sampan-${name}-`));
  folders.add(path);
  return path;
}

/** Runs a program to its end and returns its output. */
export async function run(program, args, { timeoutMs = 60_000, env, input } = {}) {
  const child = start(program, args, {
    ...(env && { env: { ...process.env, ...env } }),
    ...(input !== undefined && { stdio: ["pipe", "pipe", "pipe"] }),
  });
  child.stdin?.end(input);
  const [stdout, stderr, exit] = await Promise.all([
    text(child.stdout),
    text(child.stderr),
    deadline(child.exited, timeoutMs, () => `${program} ${args.join(" ")} to end`).catch((error) => {
      child.kill("SIGKILL");
      throw error;
    }),
  ]);
  return { ...exit, stdout, stderr };
}

/**
 * Waits for a promise no longer than this. The limits in these tests only tell a hang from slow
 * machines; none of them measures.
 */
export async function deadline(promise, ms, what) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => {
      const name = typeof what === "function" ? what() : what;
      reject(new Error(`waited ${ms} ms in vain for ${name}`));
    }, ms);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** Asks again until the answer is true (or truthy); that answer is the result. */
export async function until(ask, what, ms = 30_000, pauseMs = 50) {
  const end = Date.now() + ms;
  let last;
  for (;;) {
    last = await ask();
    if (last) return last;
    if (Date.now() > end) {
      const name = typeof what === "function" ? await what() : what;
      throw new Error(`waited ${ms} ms in vain for ${name}`);
    }
    await sleep(pauseMs);
  }
}

export function sleep(ms) {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

async function text(stream) {
  let all = "";
  stream.setEncoding("utf8");
  for await (const part of stream) all += part;
  return all;
}
