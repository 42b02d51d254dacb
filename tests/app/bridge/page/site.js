// A page that shows that the bridge works, where there are no others: machines, and the screen of one.
import { readFileSync } from "node:fs";

const read = (name) => readFileSync(new URL(name, import.meta.url), "utf8");

export function site() {
  return new Map([["/index.html", read("index.html")], ["/page.js", read("page.js")]]);
}
