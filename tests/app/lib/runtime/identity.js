// Whether something that was drawn is the same again. Builders are made anew at each update, so they count as the same by kind:
// what they draw follows its own state.
import { Resource, textOf } from "./resources.js";

export function reference(value) {
  if (typeof value === "function") return "builder";
  if (value instanceof Resource) return `text:${textOf(value)}`;
  if (typeof value === "object" && value !== null && typeof value.builder === "function") return "builder";
  if (typeof value === "object" && value !== null && ("main" in value || "sub" in value)) return `two:${textOf(value.main)}\n${textOf(value.sub)}`;
  return value;
}
export const same = (a, b) => a === b;
