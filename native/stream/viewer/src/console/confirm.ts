/** Asks before something is lost. */
import { element } from "../dom.ts";
import { strings } from "./strings.ts";

/** True if the person means it. Escape and Cancel are no. */
export function confirmed(question: string, yes: string): Promise<boolean> {
  const no = element("button", { type: "button", autofocus: true }, strings.cancel);
  const go = element("button", { type: "button", class: "yes" }, yes);
  const words = element("p", { id: "question" }, question);
  const dialog = element("dialog", { "aria-labelledby": "question" }, words, element("div", { class: "actions" }, no, go));
  document.body.append(dialog);
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => {
      dialog.remove();
      resolve(dialog.returnValue === "yes");
    });
    no.addEventListener("click", () => dialog.close(""));
    go.addEventListener("click", () => dialog.close("yes"));
    dialog.showModal();
  });
}
