// Firefox on another computer: its driver reaches it by loopback, so the driver runs over there, too, and is told what to do in lines
// of JSON. This file is both ends: imported it is this one, run it is the other one.
import { once } from "node:events";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { deadline, start } from "./processes.js";

const STEP_MS = 120_000;

export class FarFirefox {
  #child;
  #answers = new Map();
  #next = 1;
  #log = "";

  /** `command` leads into the other computer: `["ip", "netns", "exec", NAME]`. */
  static async launch([program, ...words], preferences = {}) {
    const far = new FarFirefox();
    far.#child = start(program, [...words, process.execPath, fileURLToPath(import.meta.url), JSON.stringify(preferences)], {
      stdio: ["pipe", "pipe", "pipe"],
    });
    far.#child.stderr.setEncoding("utf8").on("data", (text) => (far.#log = (far.#log + text).slice(-10_000)));
    createInterface({ input: far.#child.stdout }).on("line", (line) => {
      const { id, value, error } = JSON.parse(line);
      const [resolve, reject] = far.#answers.get(id) ?? [];
      far.#answers.delete(id);
      if (error === undefined) resolve?.(value);
      else reject?.(new Error(error));
    });
    await far.#ask("ready");
    return far;
  }

  #ask(verb, ...args) {
    const id = this.#next++;
    const answer = new Promise((resolve, reject) => this.#answers.set(id, [resolve, reject]));
    this.#child.stdin.write(`${JSON.stringify({ id, verb, args })}\n`);
    const ended = this.#child.exited.then((exit) => Promise.reject(new Error(`Firefox's driver ended (${JSON.stringify(exit)}): ${this.#log}`)));
    return deadline(Promise.race([answer, ended]), STEP_MS, () => `Firefox to ${verb}: ${this.#log}`);
  }

  open(url) {
    return this.#ask("open", url);
  }

  /** Runs a function in the page, with an argument. */
  evaluate(work, given) {
    return this.#ask("evaluate", `(${work})(${JSON.stringify(given) ?? ""})`);
  }

  type(text) {
    return this.#ask("type", text);
  }

  press(key) {
    return this.#ask("press", key);
  }

  click(x, y) {
    return this.#ask("click", x, y);
  }

  async close() {
    await this.#ask("close").catch(() => undefined);
    this.#child.kill("SIGKILL");
  }
}

async function overThere(preferences) {
  const { launchFirefox } = await import("./firefox.js");
  const browser = await launchFirefox(preferences);
  const page = await browser.newPage();
  await page.setViewport({ width: 1000, height: 700 });
  const verbs = {
    ready: () => undefined,
    // What a page loads forever does not hold this up.
    open: async (url) => void (await page.goto(url, { waitUntil: "domcontentloaded" })),
    evaluate: (source) => page.evaluate(source),
    type: (text) => page.keyboard.type(text),
    press: (key) => page.keyboard.press(key),
    click: (x, y) => page.mouse.click(x, y),
    close: () => browser.close(),
  };
  const lines = createInterface({ input: process.stdin });
  lines.on("line", async (line) => {
    const { id, verb, args } = JSON.parse(line);
    let answer;
    try {
      answer = { id, value: (await verbs[verb](...args)) ?? null };
    } catch (error) {
      answer = { id, error: String(error?.message ?? error) };
    }
    process.stdout.write(`${JSON.stringify(answer)}\n`);
    if (verb === "close") process.exit(0);
  });
  await once(lines, "close");
  await browser.close();
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await overThere(JSON.parse(process.argv[2]));
