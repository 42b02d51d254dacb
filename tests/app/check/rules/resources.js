// Resources: what is named exists, what exists is named, and languages and themes agree.
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { ts, walk } from '../lib/ets.js';

const known = JSON.parse(readFileSync(`${import.meta.dirname}/../system.json`, 'utf8'));

const BASE = 'base';
const LANGUAGE = 'zh_CN';
const DARK = 'dark';
const TEXTS = new Set(['string', 'plural', 'strarray']);
const CJK = /[\u3400-\u9FFF]/;

/** Files that name resources by `$type:name`. */
const CONFIGS = ['AppScope/app.json5', 'entry/src/main/module.json5', 'entry/hvigorfile.ts'];

/** What the system's drawing of SVG understands. */
const SVG = new Set(['svg', 'g', 'path', 'rect', 'circle', 'ellipse', 'line', 'polyline', 'polygon', 'defs', 'use', 'linearGradient',
  'radialGradient', 'stop', 'mask', 'clipPath']);

export function resourceRules(context) {
  const used = new Set();
  for (const file of context.files) {
    named(context, file, used);
  }
  configs(context, used);
  unused(context, used);
  languages(context);
  themes(context);
  for (const one of [...context.resources.folders.values()].flatMap((folder) => [...folder.values()])) {
    if (!/^[A-Za-z0-9_]+$/.test(one.name)) {
      context.add(one.file, one.line, 'resource', `${one.name} has other characters than letters, digits and underscores`);
    }
    if (one.file.endsWith('.svg')) {
      drawing(context, one.file);
    }
  }
}

function drawing(context, name) {
  const text = readFileSync(join(context.root, name), 'utf8').replace(/<!--.*?-->/gs, '');
  const odd = [...text.matchAll(/<([A-Za-z]\w*)/g)].map((one) => one[1]).filter((tag) => !SVG.has(tag));
  const css = /currentColor|\b(?:class|style)=/.exec(text)?.[0];
  if (odd.length > 0 || css || !/<svg[^>]* viewBox="/.test(text)) {
    context.add(name, 1, 'svg', `the system does not draw ${odd[0] ?? css ?? 'a picture without viewBox'}`);
  }
}

/** `$r('app.string.name', 1)` and names that are put together: `err_${code}_what`. */
function named(context, file, used) {
  walk(file.source, (node) => {
    if (ts.isCallExpression(node) && ts.isIdentifier(node.expression) && node.expression.text === '$r') {
      resource(context, file, node, used);
      node.arguments.slice(1).forEach((argument) => walk(argument, (inner) => (literal(context, inner, used), undefined)));
      return false;
    }
    if (ts.isCallExpression(node) && ts.isIdentifier(node.expression) && node.expression.text === '$rawfile') {
      const name = node.arguments[0];
      if (name && ts.isStringLiteral(name) && !context.resources.rawfiles.has(name.text)) {
        context.at(file, node, 'resource', `there is no rawfile ${name.text}`);
      }
    }
    literal(context, node, used);
    return undefined;
  });
}

function literal(context, node, used) {
  if (ts.isStringLiteralLike(node)) {
    const full = /^app\.(\w+)\.(\w+)$/.exec(node.text);
    if (full) {
      used.add(`${full[1]}.${full[2]}`);
    } else if (/^\w+$/.test(node.text)) {
      TEXTS.forEach((type) => used.add(`${type}.${node.text}`));
    }
  } else if (ts.isTemplateExpression(node)) {
    const parts = [node.head.text, ...node.templateSpans.map((one) => one.literal.text)];
    if (parts.every((part) => /^\w*$/.test(part)) && parts.some((part) => /\w_$|^_\w/.test(part))) {
      const pattern = new RegExp(`^(string|plural)\\.${parts.join('\\w+')}$`);
      [...context.resources.folder(BASE).keys()].filter((key) => pattern.test(key)).forEach((key) => used.add(key));
    }
  }
}

function resource(context, file, node, used) {
  const name = node.arguments[0];
  const parts = name && ts.isStringLiteral(name) ? /^(app|sys)\.(\w+)\.(\w+)$/.exec(name.text) : null;
  if (!parts) {
    context.at(file, node, 'resource', 'the name of a resource is a literal such as app.string.name');
    return;
  }
  const [, scope, type, own] = parts;
  if (scope === 'sys') {
    if (!known[type]?.includes(own)) {
      context.at(file, node, 'system-resource', `sys.${type}.${own} is not among the resources that API 12 documents: see system.json of the check`);
    }
    return;
  }
  used.add(`${type}.${own}`);
  const found = context.resources.folder(BASE).get(`${type}.${own}`);
  if (!found) {
    context.at(file, node, 'resource', `there is no ${type} ${own}`);
  } else if ((type === 'string' || type === 'plural') && !node.arguments.some(ts.isSpreadElement)) {
    given(context, file, node, found);
  }
}

/** As many values as the text has places, of the kinds that they are for. A plural has its number before them, or nothing and is asked for by number. */
function given(context, file, node, found) {
  const values = node.arguments.slice(1);
  const plural = found.type === 'plural';
  const wanted = plural ? placesOf(found).split(' ').filter(Boolean) : slots(found.value);
  if (plural && values.length === 0) {
    return;
  }
  const all = plural ? ['0d', ...wanted] : wanted;
  if (values.length !== all.length) {
    context.at(file, node, 'arguments', `${found.name} takes ${all.length} values, and ${values.length} are given`);
    return;
  }
  all.forEach((place, i) => {
    const { flags, types } = context.checker.getTypeAtLocation(values[i]);
    const isNumber = [flags, ...(types ?? []).map((one) => one.flags)].some((one) => one & ts.TypeFlags.NumberLike);
    if (place.endsWith('s') === isNumber) {
      context.at(file, values[i], 'arguments', `${found.name} wants a ${isNumber ? 'text' : 'number'} here: its place is %${place.slice(-1)}`);
    }
  });
}

/** The places for values of a text: `%1$s` and `%d`, as `1s`, each once. */
function slots(text) {
  const found = new Set();
  let next = 0;
  for (const [, index, kind] of String(text).replaceAll('%%', '').matchAll(/%(?:(\d+)\$)?([sdf])/g)) {
    next = index ? next : next + 1;
    found.add(`${index ?? next}${kind}`);
  }
  return [...found].sort();
}

function configs(context, used) {
  const profiles = join(context.root, 'entry/src/main/resources/base/profile');
  const layers = join(context.root, 'AppScope/resources/base/media');
  const list = (folder, prefix) => (existsSync(folder) ? readdirSync(folder).filter((name) => name.endsWith('.json')).map((name) => `${prefix}/${name}`) : []);
  const all = [...CONFIGS, ...list(profiles, 'entry/src/main/resources/base/profile'), ...list(layers, 'AppScope/resources/base/media')];
  for (const name of all.filter((one) => existsSync(join(context.root, one)))) {
    readFileSync(join(context.root, name), 'utf8').split('\n').forEach((line, i) => {
      for (const [, type, own] of line.matchAll(/\$(string|media|color|profile|float|plural):(\w+)/g)) {
        used.add(`${type}.${own}`);
        if (!context.resources.has(type, own)) {
          context.add(name, i + 1, 'resource', `there is no ${type} ${own}`);
        }
      }
    });
  }
}

function unused(context, used) {
  for (const [key, one] of context.resources.folder(BASE)) {
    if (!used.has(key)) {
      context.add(one.file, one.line, 'unused', `nothing names ${one.type} ${one.name}`);
    }
  }
}

function languages(context) {
  const [base, other] = [context.resources.folder(BASE), context.resources.folder(LANGUAGE)];
  for (const [key, one] of base) {
    if (!TEXTS.has(one.type)) {
      continue;
    }
    const translated = other.get(key);
    wellFormed(context, one);
    if (CJK.test(JSON.stringify(one.value))) {
      context.add(one.file, one.line, 'language', `${one.name} is not English`);
    }
    if (!translated) {
      context.add(one.file, one.line, 'language', `${one.name} is missing in ${LANGUAGE}`);
      continue;
    }
    wellFormed(context, translated);
    const [mine, theirs] = [placesOf(one), placesOf(translated)];
    if (mine !== theirs) {
      context.add(translated.file, translated.line, 'places', `${one.name} has other places for values than in ${BASE}: ${theirs || 'none'}, not ${mine || 'none'}`);
    }
    if (JSON.stringify(one.value) === JSON.stringify(translated.value) && /[a-z]{3,} [a-z]{3,}/.test(JSON.stringify(one.value))) {
      context.add(translated.file, translated.line, 'language', `${one.name} is not translated`);
    }
  }
  for (const [key, one] of other) {
    if (TEXTS.has(one.type) && !base.has(key)) {
      context.add(one.file, one.line, 'language', `${one.name} is missing in ${BASE}`);
    }
  }
}

/** Of a text its places, of a plural those of its last form, which all numbers have. */
function placesOf(one) {
  const values = Array.isArray(one.value) ? one.value.filter((form) => (form.quantity ?? 'other') === 'other').map((form) => form.value ?? form) : [one.value];
  return values.map((value) => slots(value).join(' ')).join(', ');
}

function wellFormed(context, one) {
  const values = Array.isArray(one.value) ? one.value.map((form) => form.value ?? form) : [one.value];
  for (const value of values) {
    if (typeof value !== 'string' || value.trim() === '') {
      context.add(one.file, one.line, 'places', `${one.name} is empty`);
    } else if (slots(value).length > 0 && /%(?!\d+\$[sdf]|[sdf])/.test(value.replaceAll('%%', ''))) {
      context.add(one.file, one.line, 'places', `${one.name} has a % that is no place for a value: write %%`);
    } else if (slots(value).length > 1 && /%[sdf]/.test(value)) {
      context.add(one.file, one.line, 'places', `${one.name} has several places: number them, since languages order them differently`);
    }
  }
  if (one.type === 'plural') {
    for (const form of one.file.includes(`/${LANGUAGE}/`) ? ['other'] : ['one', 'other']) {
      if (!one.value.some(({ quantity }) => quantity === form)) {
        context.add(one.file, one.line, 'places', `${one.name} has no form “${form}”`);
      }
    }
  }
}

function themes(context) {
  const [light, dark] = [context.resources.folder(BASE), context.resources.folder(DARK)];
  for (const [from, to, name] of [[light, dark, DARK], [dark, light, BASE]]) {
    for (const [key, one] of from) {
      if (one.type === 'color' && !to.has(key)) {
        context.add(one.file, one.line, 'theme', `the colour ${one.name} is missing in ${name}`);
      }
      if (one.type === 'color' && !/^(#([0-9a-f]{3,4}|[0-9a-f]{6}|[0-9a-f]{8})|\$color:\w+)$/i.test(one.value)) {
        context.add(one.file, one.line, 'theme', `${one.value} is no colour such as #RRGGBB or #AARRGGBB`);
      }
    }
  }
}
