/** Every text that a person reads, in the page's language: one table for each in `strings/`. */
import { language } from "./language.ts";
import type { Language, Words } from "./language.ts";
import { en } from "./strings/en.ts";
import { zh } from "./strings/zh.ts";

export type Strings = Words<typeof en>;

export const TABLES: Readonly<Record<Language, Strings>> = { en, zh };

export const strings: Strings = TABLES[language];
