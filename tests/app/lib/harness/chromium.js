// Chromium, as the end-to-end tests start it.
import { chromium } from "playwright-core";

const FLAGS = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"];

/** SAMPAN_CHROMIUM names another browser. */
export const launch = () => chromium.launch({ executablePath: process.env.SAMPAN_CHROMIUM || "/usr/bin/chromium", headless: true, args: FLAGS });

/** Opens a page and waits until the app stands. `problems` gathers what went wrong in it. */
export async function open(browser, url, { width = 360, height = 780, hasTouch = true, query = {}, locale = "en-US" } = {}) {
  const context = await browser.newContext({ viewport: { width, height }, hasTouch, locale, serviceWorkers: "block" });
  // A hang takes longer than a busy machine.
  context.setDefaultTimeout(60_000);
  const page = await context.newPage();
  const problems = [];
  page.on("pageerror", (error) => problems.push(error.stack ?? String(error)));
  page.on("console", (message) => message.type() === "error" && problems.push(message.text()));
  const address = new URL(url);
  for (const [name, value] of Object.entries(query)) address.searchParams.set(name, value);
  await page.goto(address.href);
  await page.waitForFunction(() => Boolean(globalThis.preview?.ready)).catch(() => {});
  await page.evaluate(() => globalThis.preview.ready).catch((error) => problems.push(String(error)));
  if (problems.length > 0) throw new Error(problems.join("\n"));
  return { page, problems, close: () => context.close() };
}
