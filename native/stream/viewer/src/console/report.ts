/** The report of a crash, with the offer to start the machine again. */
import { element } from "../dom.ts";
import { asked } from "./confirm.ts";
import { strings } from "./strings.ts";

/** True if the person wants it started. Escape and Close are no. */
export function startsAgain(title: string, text: string): Promise<boolean> {
  // Its own focus, so that it can be scrolled by keys.
  const words = [element("h2", { id: "dialog" }, title), element("pre", { tabindex: "0" }, text)];
  return asked(words, strings.close, strings.startAgain, "report");
}
