// Pictures of the app's pages, as a person would see them: real machines behind them, in Chromium.
//
//   node shoot.js OUT [--only NAME] [--languages zh,en] [--themes light,dark] [--widths phone,tablet,pc]
import { mkdirSync } from "node:fs";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { open, launch } from "../lib/harness/chromium.js";
import { site } from "../lib/site.js";
import { serve } from "../bridge/server.js";
import { folder, modulePath, native, qemu } from "../../napi/lib/module.js";
import { populate } from "./machines.js";
import { scenes } from "./scenes.js";

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    only: { type: "string" },
    languages: { type: "string", default: "zh,en" },
    themes: { type: "string", default: "light,dark" },
    widths: { type: "string", default: "phone,tablet,pc" },
  },
});
const out = resolve(positionals[0] ?? "screens");
mkdirSync(out, { recursive: true });

const SIZES = { phone: [390, 844], tablet: [834, 1112], pc: [1280, 800] };
const LANGUAGES = { zh: "zh_CN", en: "base" };

const home = join(folder(), "library");
const server = await serve({ native, modulePath, libraries: qemu, home, pages: await site(), config: {} });
const browser = await launch();
const known = await populate(native, home);
let shots = 0;
for (const scene of scenes.filter(({ name }) => !values.only || values.only.split(",").includes(name))) {
  for (const width of values.widths.split(",").filter((one) => scene.widths?.includes(one) ?? true)) {
    for (const language of values.languages.split(",")) {
      for (const theme of values.themes.split(",")) {
        const query = { language: LANGUAGES[language], dark: theme === "dark" ? 1 : 0, device: width === "pc" ? "2in1" : width };
        const [w, h] = SIZES[width];
        const opened = await open(browser, server.url, { width: w, height: h, query });
        const { page } = opened;
        try {
          await scene.act(page, known, width);
          await page.waitForTimeout(300);
          await page.screenshot({ path: join(out, `${scene.name}-${width}-${language}-${theme}.png`) });
          shots++;
        } catch (error) {
          console.error(`${scene.name} ${width} ${language} ${theme}: ${error.message.split("\n")[0]}`);
          await page.screenshot({ path: join(out, `FAILED-${scene.name}-${width}-${language}-${theme}.png`) });
          process.exitCode = 1;
        }
        await opened.close();
      }
    }
  }
}
console.log(`${shots} pictures in ${out}`);
await browser.close();
for (const { id, state } of await native.machines.list()) {
  if (!["off", "suspended", "crashed"].includes(state)) await native.life.forceOff(id).catch(() => {});
}
server.close();
process.exit();
