// Enumerations of ArkUI, for the components: the harness brings their values.
import { env } from "./env.js";

/** The name of a member by its value, such as `Center` of FlexAlign; undefined without a value. */
export function member(type, value) {
  if (value === undefined || value === null) return undefined;
  const members = env.enums[type];
  if (!members) throw new TypeError(`there is no enumeration ${type}`);
  for (const name in members) if (members[name] === value) return name;
  throw new TypeError(`${JSON.stringify(value)} is no member of ${type}`);
}

/** What `table` has for the member; a member that it lacks is an error. */
export function choose(type, value, table) {
  const name = member(type, value);
  if (name === undefined) return undefined;
  if (!(name in table)) throw new TypeError(`the preview does not know ${type}.${name}`);
  return table[name];
}
