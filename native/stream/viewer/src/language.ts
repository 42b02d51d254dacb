/** Which language the pages speak: the person's choice, or else the first of the browser's that there is a table for. */

export const LANGUAGES = ["en", "zh"] as const;
export type Language = (typeof LANGUAGES)[number];

/** What a language calls itself, so that those who read no other find it. */
export const LANGUAGE_NAMES: Readonly<Record<Language, string>> = { en: "English", zh: "中文" };

/** What of the browser is needed, so that tests can stand in for it. */
export interface LanguageHome {
  /** The browser's languages as BCP 47 tags, the preferred one first. */
  readonly preferred: readonly string[];
  load(): string | null;
  save(language: Language): void;
}

/** The same shape with any words in it: what each language's table has to have. */
export type Words<T> = T extends string
  ? string
  : T extends (...given: infer Given) => string
    ? (...given: Given) => string
    : { readonly [Name in keyof T]: Words<T[Name]> };

export function chooseLanguage(home: LanguageHome): Language {
  const known = (tag: string | null) => LANGUAGES.find((language) => language === tag?.toLowerCase().split("-")[0]);
  return known(home.load()) ?? home.preferred.map(known).find((language) => language !== undefined) ?? "en";
}

const STORAGE_KEY = "sampan.language";

export function browserLanguages(): LanguageHome {
  return {
    // Unit tests run without a browser, in the language of their expectations.
    preferred: typeof document === "undefined" ? [] : navigator.languages,
    load: () => {
      try {
        return localStorage.getItem(STORAGE_KEY);
      } catch {
        return null;
      }
    },
    save: (language) => {
      try {
        localStorage.setItem(STORAGE_KEY, language);
      } catch {
        // Without storage the browser's language stays.
      }
    },
  };
}

export const language: Language = chooseLanguage(browserLanguages());
if (typeof document !== "undefined") document.documentElement.lang = language === "zh" ? "zh-Hans" : language;

/** Every text is put on the page once, so another language begins with the page anew. */
export function switchLanguage(to: Language): void {
  browserLanguages().save(to);
  location.reload();
}
