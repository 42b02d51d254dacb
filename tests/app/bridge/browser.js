// Chromium, as the other tests in it start it. SAMPAN_CHROMIUM names another one.
import { chromium } from "playwright-core";

const FLAGS = [
  "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync",
];

export function launch() {
  return chromium.launch({ executablePath: process.env.SAMPAN_CHROMIUM || "/usr/bin/chromium", headless: true, args: FLAGS });
}
