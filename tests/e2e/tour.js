// Makes the README's pictures of the terminal, wizard.png and library.png, from what the real program says about machines
// without a system: `SAMPAN_BIN=… node tests/e2e/tour.js`.
import { spawn } from "node:child_process";
import { mkdirSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { launch } from "./lib/browser.js";
import { Library } from "./lib/console.js";
import { deadline, run } from "./lib/processes.js";
import { program } from "./lib/sampan.js";

const images = join(dirname(fileURLToPath(import.meta.url)), "../../docs/images");
const library = new Library();

/** What a command prints, as a person sees it. */
async function said(...args) {
  const { code, stdout, stderr } = await run(program, args, { env: library.env, timeoutMs: 180_000 });
  if (code !== 0) throw new Error(`sampan ${args.join(" ")}: ${stderr}`);
  const line = args.map((arg) => (/^[\w./=-]+$/.test(arg) ? arg : `'${arg}'`)).join(" ");
  return `$ sampan ${line}\n${stdout}`;
}

/** Answers the questions of a command in a terminal of its own (util-linux's `script`), and what was to be seen there. */
async function asked(args, answers) {
  const child = spawn("script", ["-qfec", [program, ...args].join(" "), "/dev/null"], {
    env: { ...process.env, ...library.env, TERM: "dumb" }, stdio: ["pipe", "pipe", "inherit"],
  });
  let seen = "";
  const left = [...answers];
  child.stdout.setEncoding("utf8").on("data", (text) => {
    seen += text;
    // Each question ends with a colon.
    if (/: $/.test(seen) && left.length > 0) child.stdin.write(`${left.shift()}\n`);
  });
  const code = await deadline(new Promise((resolve) => child.on("exit", resolve)), 180_000, () => `the end of:\n${seen}`);
  if (code !== 0) throw new Error(seen);
  return `$ sampan ${args.join(" ")}\n${seen.replaceAll("\r", "")}`;
}

async function picture(browser, name, text) {
  const page = await browser.newPage({ viewport: { width: 920, height: 200 } });
  await page.setContent(`<style>
    body { margin: 0; background: #10151a }
    pre { display: inline-block; min-width: 860px; margin: 0; padding: 20px 28px; color: #d7dee5;
      font: 14px/1.45 "DejaVu Sans Mono", monospace; white-space: pre-wrap }
    b { color: #7fd1b9 }
  </style><pre></pre>`);
  await page.evaluate((shown) => {
    for (const line of shown.trimEnd().split("\n")) {
      const part = document.createElement(line.startsWith("$ ") ? "b" : "span");
      part.textContent = `${line}\n`;
      document.querySelector("pre").append(part);
    }
  }, text);
  await page.locator("pre").screenshot({ path: join(images, `${name}.png`) });
  await page.close();
}

mkdirSync(images, { recursive: true });
const browser = await launch();
try {
  // Enter takes what is proposed.
  const wizard = await asked(["new"], ["debian", "", "", "", "", "-", "20G", "yes"]);
  await picture(browser, "wizard", wizard);
  await library.sampan("new", "old-pc", "--preset", "old", "--disk", "2G");
  for (const [name, note] of [["installed", "just installed"], ["updated", "all updates"]]) {
    await library.sampan("snapshot", "create", "debian", name, "--note", note);
  }
  await library.sampan("snapshot", "restore", "debian", "installed", "--yes");
  await library.sampan("snapshot", "create", "debian", "with-desktop", "--note", "another way from the same point");
  await picture(browser, "library", [await said("list"), await said("snapshot", "list", "debian")].join("\n"));
} finally {
  await browser.close();
  await library.close();
}
