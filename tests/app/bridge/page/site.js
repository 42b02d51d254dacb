// A page for tests of the bridge alone: machines, and the screen of one.
import { readFileSync } from "node:fs";

const read = (name) => readFileSync(new URL(name, import.meta.url), "utf8");

export function site() {
  return new Map([["/index.html", read("index.html")], ["/page.js", read("page.js")]]);
}
