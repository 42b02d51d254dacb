/** Questions to the person, in a dialog. */
import { element } from "../dom.ts";
import { strings } from "./strings.ts";

/** True if the person means it. Escape and Cancel are no. */
export function confirmed(question: string, yes: string): Promise<boolean> {
  return asked([element("p", { id: "dialog" }, question)], strings.cancel, yes);
}

/** Shows `words`, of which one part has the id `dialog`, over two buttons; true for `yes`, and false for Escape too. */
export function asked(words: HTMLElement[], no: string, yes: string, kind = ""): Promise<boolean> {
  const refuse = element("button", { type: "button", autofocus: true }, no);
  const agree = element("button", { type: "button", class: "yes" }, yes);
  const dialog = element("dialog", { class: kind, "aria-labelledby": "dialog" },
    ...words, element("div", { class: "actions" }, refuse, agree));
  document.body.append(dialog);
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => {
      dialog.remove();
      resolve(dialog.returnValue === "yes");
    });
    refuse.addEventListener("click", () => dialog.close(""));
    agree.addEventListener("click", () => dialog.close("yes"));
    dialog.showModal();
  });
}
