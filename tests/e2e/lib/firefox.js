// Real Firefox, driven by WebDriver BiDi as Firefox itself speaks it.
import { existsSync } from "node:fs";
import puppeteer from "puppeteer-core";
import { Viewer, notePeers } from "./browser.js";

/** SAMPAN_FIREFOX names another browser. */
const executablePath = process.env.SAMPAN_FIREFOX || "/usr/bin/firefox-esr";
if (!existsSync(executablePath)) {
  throw new Error(`${executablePath} is not there: install the package firefox-esr, or set SAMPAN_FIREFOX`);
}

/** `preferences` are those of about:config. */
export function launchFirefox(preferences = {}) {
  return puppeteer.launch({
    browser: "firefox",
    executablePath,
    headless: true,
    acceptInsecureCerts: true,
    extraPrefsFirefox: {
      // A page may play sound before anybody clicks, as Chromium's tests let it.
      "media.autoplay.default": 0,
      // Nothing is asked of Mozilla's servers.
      "app.update.enabled": false, "media.gmp-manager.updateEnabled": false, "datareporting.policy.dataSubmissionEnabled": false,
      ...preferences,
    },
  });
}

/** The page in Firefox: what a `Viewer` does needs nothing but what both drivers call the same. */
export class FirefoxViewer extends Viewer {
  static async open(browser, url, { width = 1024, height = 768, prepare = async () => {} } = {}) {
    const context = await browser.createBrowserContext();
    const page = await context.newPage();
    await page.setViewport({ width, height });
    const viewer = new FirefoxViewer(page);
    await page.evaluateOnNewDocument(notePeers);
    await prepare(page);
    await page.goto(url);
    return viewer;
  }

  /** BiDi's driver rounds what has a fraction: the pixel's own corner. */
  async place(x, y) {
    const place = await super.place(x, y);
    return { x: Math.floor(place.x), y: Math.floor(place.y) };
  }

  close() {
    return this.page.browserContext().close();
  }
}
