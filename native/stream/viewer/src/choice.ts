/** A list to choose from, with its name before it. */
import { element } from "./dom.ts";
import { LANGUAGES, LANGUAGE_NAMES, language, switchLanguage } from "./language.ts";
import type { Language } from "./language.ts";
import { THEMES, chooseTheme, storedTheme } from "./theme.ts";
import type { Theme } from "./theme.ts";

export function choice<Name extends string>(
  label: string,
  names: readonly Name[],
  words: Readonly<Record<Name, string>>,
  now: Name,
  choose: (name: Name) => void,
): HTMLLabelElement {
  const select = element("select", {},
    ...names.map((name) => element("option", { value: name, selected: name === now }, words[name])));
  select.addEventListener("change", () => {
    const chosen = names.find((name) => name === select.value);
    if (chosen !== undefined) choose(chosen);
  });
  return element("label", { class: "choice" }, element("span", {}, label), select);
}

/** The words of a page for its looks. */
export interface LooksWords {
  readonly theme: string;
  readonly themes: Readonly<Record<Theme, string>>;
  readonly language: string;
}

/** How this page looks: its colours and its language. */
export function looks(words: LooksWords): HTMLLabelElement[] {
  return [
    choice<Theme>(words.theme, THEMES, words.themes, storedTheme(), chooseTheme),
    choice<Language>(words.language, LANGUAGES, LANGUAGE_NAMES, language, switchLanguage),
  ];
}
