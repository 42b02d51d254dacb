#!/usr/bin/env node
// Puts the pictures of shoot.js together: a sheet for each width, language and theme, as WebP.
//
//   tests/app/screens/sheets.js PICTURES OUT
import { mkdirSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { launch } from "../lib/harness/chromium.js";

const [from, out] = process.argv.slice(2);
/** Pixels of a picture on its sheet, and how many stand beside each other. */
const SHAPES = { phone: [234, 506, 9], tablet: [292, 389, 7], pc: [448, 280, 5] };
const QUALITY = 80;

mkdirSync(out, { recursive: true });
const sheets = new Map();
for (const file of readdirSync(from).sort()) {
  const found = /^(?!FAILED)(.+)-(phone|tablet|pc)-(zh|en)-(light|dark)\.png$/.exec(file);
  if (!found) continue;
  const [, scene, width, language, theme] = found;
  const sheet = `${width}-${language}-${theme}`;
  if (!sheets.has(sheet)) sheets.set(sheet, []);
  sheets.get(sheet).push({ scene, data: readFileSync(join(from, file)).toString("base64") });
}
const browser = await launch();
for (const [sheet, pictures] of sheets) {
  const [width, height, across] = SHAPES[sheet.split("-")[0]];
  const gap = 12;
  const columns = Math.min(across, pictures.length);
  const rows = Math.ceil(pictures.length / columns);
  const size = { width: columns * (width + gap) + gap, height: rows * (height + gap + 20) + gap };
  const page = await browser.newPage({ viewport: size });
  const cells = pictures.map(({ scene, data }) => `<figure><img src="data:image/png;base64,${data}"><figcaption>${scene}</figcaption></figure>`);
  const style = `body{margin:0;padding:${gap}px;display:grid;gap:${gap}px;grid-template-columns:repeat(${columns},${width}px);background:#777;font:12px sans-serif;color:#fff}
    figure{margin:0}img{width:${width}px;height:${height}px;display:block;border-radius:8px}figcaption{height:20px;line-height:20px;text-align:center}`;
  await page.setContent(`<style>${style}</style>${cells.join("")}`);
  const cdp = await page.context().newCDPSession(page);
  const { data } = await cdp.send("Page.captureScreenshot", { format: "webp", quality: QUALITY });
  writeFileSync(join(out, `${sheet}.webp`), Buffer.from(data, "base64"));
  console.log(`${sheet}.webp: ${pictures.length} pictures, ${Math.round((data.length * 3) / 4096)} KiB`);
  await page.close();
}
await browser.close();
