// Resources: `$r("app.string.x", …)` is a reference; what it means depends on language and colour mode.
import { env } from "./env.js";
import { fire, readers, track } from "./signals.js";
import { systemColor, systemFloat } from "./system.js";

/** As the kit's codes of types. */
const TYPE_CODES = {
  color: 10001,
  float: 10002,
  string: 10003,
  plural: 10004,
  boolean: 10005,
  intarray: 10006,
  integer: 10007,
  strarray: 10009,
  media: 20000,
  rawfile: 30000,
};

/** Resources by their numbers: whoever has `$r(…).id` finds it again. */
const numbered = new Map();
const numbers = new Map();

export class Resource {
  constructor(origin, type, name, params) {
    const path = `${origin}.${type}.${name}`;
    if (!numbers.has(path)) numbers.set(path, 0x1000000 + numbers.size);
    const id = numbers.get(path);
    Object.assign(this, { bundleName: "app.sampan", moduleName: "entry", id, params, type: TYPE_CODES[type] ?? 0 });
    // How the preview finds it; no part of ArkUI's object.
    for (const [key, value] of Object.entries({ origin, kind: type, name })) Object.defineProperty(this, key, { value });
    if (!numbered.has(id)) numbered.set(id, this);
  }
}
export const resourceOf = (id) => numbered.get(id);

export function $r(path, ...params) {
  const [origin, type, ...rest] = String(path).split(".");
  const name = rest.join(".");
  if (!["app", "sys"].includes(origin) || name === "") throw new Error(`$r("${path}"): want "app.TYPE.NAME" or "sys.TYPE.NAME"`);
  const made = new Resource(origin, type, name, params);
  // At once, so that a misspelt name is found where it stands.
  if (!exists(made)) throw new Error(`$r("${path}"): there is no such resource`);
  return made;
}

export const $rawfile = (path) => {
  if (!env.resources.rawfiles.includes(path)) throw new Error(`$rawfile("${path}"): there is no such file`);
  return new Resource("app", "rawfile", path, []);
};

/** Whoever uses a resource is drawn again when language, colour mode or type size change. */
const configuration = readers();
export const configurationChanged = () => fire(configuration);

/** The qualifiers that count now, the nearest first. */
function qualifiers() {
  track(configuration);
  const known = Object.keys({ ...env.resources.qualifiers, ...env.resources.media });
  const mode = env.dark ? "dark" : "light";
  const [language] = env.language.split("_");
  const fits = (name) => name !== "base" && name.split("-").every((part) => part === mode || part === env.language || part === language);
  const rank = (name) => (name.includes(env.language) ? 2 : 0) + (name.includes(mode) ? 1 : 0);
  return [...known.filter(fits).sort((a, b) => rank(b) - rank(a)), "base"];
}

export function find(type, name) {
  for (const qualifier of qualifiers()) {
    const value = type === "media" ? env.resources.media[qualifier]?.[name] : env.resources.qualifiers[qualifier]?.[type]?.[name];
    if (value !== undefined) return value;
  }
  return undefined;
}

function exists(resource) {
  const { origin, kind, name } = resource;
  if (origin === "sys") return (kind === "color" ? systemColor(name) : systemFloat(name)) !== undefined;
  return find(kind, name) !== undefined;
}

function must(resource, ...kinds) {
  if (!kinds.includes(resource.kind)) throw new TypeError(`${resource.origin}.${resource.kind}.${resource.name} is no ${kinds.join(" or ")}`);
  track(configuration);
  const { origin, kind, name } = resource;
  const value = origin === "sys" ? (kind === "color" ? systemColor(name) : systemFloat(name)) : find(kind, name);
  if (value === undefined) throw new Error(`there is no resource ${origin}.${kind}.${name}`);
  return value;
}

/** `%s`, `%d`, `%f`, `%.1f`, `%1$s` and `%%`, as the resource manager has them. */
export function format(text, params) {
  let next = 0;
  return text.replace(/%(?:(\d+)\$)?(?:\.(\d+))?([sdf%])/g, (_, place, digits, kind) => {
    if (kind === "%") return "%";
    const index = place ? Number(place) - 1 : next++;
    if (index >= params.length) throw new Error(`“${text}” wants ${index + 1} values, and got ${params.length}`);
    const value = params[index] instanceof Resource ? textOf(params[index]) : params[index];
    if (kind === "s") return String(value);
    if (typeof value !== "number") throw new TypeError(`“${text}”: ${value} is no number`);
    if (kind === "d") return String(Math.trunc(value));
    return digits === undefined ? value.toFixed(6) : value.toFixed(Number(digits));
  });
}

/** The form of a plural: English has one and other here, Chinese other alone. */
export function pluralText(forms, count) {
  const quantity = new Intl.PluralRules(env.language === "base" ? "en" : env.language.replace("_", "-")).select(count);
  return forms[quantity] ?? forms.other;
}

/** The text of a string, a number or a resource. */
export function textOf(value) {
  if (value === undefined || value === null) return "";
  if (!(value instanceof Resource)) {
    if (typeof value === "object") throw new TypeError(`a text cannot be made of ${JSON.stringify(value)}`);
    return String(value);
  }
  const found = must(value, "string", "plural", "integer");
  if (value.kind === "plural")
    return format(pluralText(found, value.params[0]), value.params.slice(1).length > 0 ? value.params.slice(1) : value.params);
  return format(String(found), value.params);
}

/** A colour as CSS has it. */
export function colorOf(value) {
  if (value === undefined || value === null) return undefined;
  if (value instanceof Resource) return colorOf(must(value, "color"));
  if (typeof value === "number") {
    const alpha = value > 0xffffff ? value / 0x1000000 : 255;
    return css(Math.floor(alpha), (value >> 16) & 255, (value >> 8) & 255, value & 255);
  }
  const hex = /^#([0-9a-f]{3,8})$/i.exec(value)?.[1];
  if (hex === undefined) {
    if (!/^(rgba?\(|[a-z]+$)/i.test(value)) throw new TypeError(`${value} is no colour`);
    return value;
  }
  const full = hex.length < 6 ? [...hex].map((digit) => digit + digit).join("") : hex;
  const numbers = full.match(/../g).map((two) => parseInt(two, 16));
  return numbers.length === 4 ? css(...numbers) : css(255, ...numbers);
}
const css = (alpha, red, green, blue) =>
  alpha === 255 ? `rgb(${red},${green},${blue})` : `rgba(${red},${green},${blue},${Math.round((alpha / 255) * 1000) / 1000})`;

/** A length as CSS has it; plain numbers are `unit` (vp, or fp for type). */
export function lengthOf(value, unit = "vp") {
  if (value === undefined || value === null) return undefined;
  if (value instanceof Resource) return lengthOf(must(value, "float", "integer"), unit);
  // LengthMetrics
  if (typeof value === "object" && "unit" in value)
    return lengthOf(`${value.value}${["px", "vp", "fp", "%", "lpx"][value.unit]}`.replace(/^(.*)%$/, (_, share) => `${share * 100}%`));
  if (typeof value === "number") return px(value, unit);
  const parts = /^\s*(-?[\d.]+)(vp|fp|px|lpx|%)?\s*$/.exec(value);
  if (parts) return parts[2] === "%" ? `${parts[1]}%` : px(Number(parts[1]), parts[2] ?? unit);
  if (value === "auto" || value.startsWith("calc(")) return value.replace(/(\d)(vp|fp)/g, "$1px");
  throw new TypeError(`${JSON.stringify(value)} is no length`);
}
function px(value, unit) {
  if (unit === "fp") track(configuration);
  const size = unit === "fp" ? value * env.fontScale : unit === "px" ? value / env.density : unit === "lpx" ? (value * env.width) / 720 : value;
  return `${Math.round(size * 1000) / 1000}px`;
}

/** The number of vp in a length, if it is one. */
export function vpOf(value) {
  const text = lengthOf(value);
  return text?.endsWith("px") ? Number.parseFloat(text) : undefined;
}

/** `{ svg }` or `{ url }` of a picture that is a resource. */
export function mediaOf(resource) {
  if (resource.kind === "rawfile") return { url: env.rawfileUrl?.(resource.name) ?? `rawfile:${resource.name}` };
  return must(resource, "media");
}
