/** The report of a crash, with the offer to start the machine again. */
import { element } from "../dom.ts";
import { strings } from "./strings.ts";

/** True if the person wants it started. Escape and Close are no. */
export function startsAgain(title: string, text: string): Promise<boolean> {
  const close = element("button", { type: "button", autofocus: true }, strings.close);
  const again = element("button", { type: "button", class: "yes" }, strings.startAgain);
  // Its own focus, so that it can be scrolled by keys.
  const words = element("pre", { tabindex: "0" }, text);
  const dialog = element("dialog", { class: "report", "aria-labelledby": "report" },
    element("h2", { id: "report" }, title), words, element("div", { class: "actions" }, close, again));
  document.body.append(dialog);
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => {
      dialog.remove();
      resolve(dialog.returnValue === "yes");
    });
    close.addEventListener("click", () => dialog.close(""));
    again.addEventListener("click", () => dialog.close("yes"));
    dialog.showModal();
  });
}
