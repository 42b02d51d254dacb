// What is in the resource folders of the app: names, values and where they stand.
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { join, relative } from 'node:path';
import { ts } from './ets.js';

const SCOPES = ['AppScope/resources', 'entry/src/main/resources'];

/** The value of a JSON5 expression, with the node it stands at in `where`. */
export function valueOf(node, where = new Map()) {
  if (ts.isObjectLiteralExpression(node)) {
    const value = {};
    where.set(value, node);
    for (const property of node.properties) {
      value[property.name.text] = valueOf(property.initializer, where);
    }
    return value;
  }
  if (ts.isArrayLiteralExpression(node)) {
    const value = node.elements.map((element) => valueOf(element, where));
    where.set(value, node);
    return value;
  }
  switch (node.kind) {
    case ts.SyntaxKind.TrueKeyword: return true;
    case ts.SyntaxKind.FalseKeyword: return false;
    case ts.SyntaxKind.NullKeyword: return null;
    case ts.SyntaxKind.PrefixUnaryExpression: return -Number(node.operand.text);
    case ts.SyntaxKind.NumericLiteral: return Number(node.text);
    default: return node.text;
  }
}

/** A JSON or JSON5 file: its value, the line of each object in it, and what is wrong with its syntax. */
export function readJson(root, name) {
  const text = readFileSync(join(root, name), 'utf8');
  const source = ts.parseJsonText(name, text);
  const where = new Map();
  const lineAt = (position) => source.getLineAndCharacterOfPosition(position).line + 1;
  const statement = source.statements[0];
  const value = statement ? valueOf(statement.expression, where) : {};
  return {
    text,
    value,
    errors: source.parseDiagnostics.map((one) => ({ line: lineAt(one.start), message: ts.flattenDiagnosticMessageText(one.messageText, ' ') })),
    line: (object) => lineAt(where.get(object).getStart(source)),
    /** The line of a text in quotes. */
    lineOf: (quoted) => Math.max(1, text.slice(0, Math.max(0, text.indexOf(`"${quoted}"`))).split('\n').length)
  };
}

/** Where JSON5 is no JSON: a comment, a comma before a bracket, a name without quotes. */
function oddness(text) {
  const scanner = ts.createScanner(ts.ScriptTarget.ES2021, false, ts.LanguageVariant.Standard, text);
  const { SyntaxKind } = ts;
  let comma = -1;
  for (let kind = scanner.scan(); kind !== SyntaxKind.EndOfFileToken; kind = scanner.scan()) {
    if (kind === SyntaxKind.WhitespaceTrivia || kind === SyntaxKind.NewLineTrivia) {
      continue;
    }
    const closes = kind === SyntaxKind.CloseBracketToken || kind === SyntaxKind.CloseBraceToken;
    if (comma >= 0 && closes) {
      return comma;
    }
    const isComment = kind === SyntaxKind.SingleLineCommentTrivia || kind === SyntaxKind.MultiLineCommentTrivia;
    if (isComment || kind === SyntaxKind.Identifier) {
      return scanner.getTokenPos();
    }
    comma = kind === SyntaxKind.CommaToken ? scanner.getTokenPos() : -1;
  }
  return 0;
}

/** One named resource in one folder. */
class Resource {
  constructor(type, name, value, file, line) {
    Object.assign(this, { type, name, value, file, line });
  }

  get key() {
    return `${this.type}.${this.name}`;
  }
}

export class Resources {
  /** By folder (`base`, `zh_CN`, `dark`), then by `type.name`. */
  folders = new Map();
  rawfiles = new Set();

  constructor(root, add) {
    for (const scope of SCOPES) {
      const folder = join(root, scope);
      for (const qualifier of existsSync(folder) ? readdirSync(folder) : []) {
        if (qualifier === 'rawfile') {
          const all = readdirSync(join(folder, qualifier), { recursive: true });
          all.forEach((file) => this.rawfiles.add(file));
        } else {
          this.read(root, join(folder, qualifier), qualifier, add);
        }
      }
    }
  }

  folder(qualifier) {
    return this.folders.get(qualifier) ?? new Map();
  }

  has(type, name) {
    return this.folder('base').has(`${type}.${name}`);
  }

  put(qualifier, resource, add) {
    if (!this.folders.has(qualifier)) {
      this.folders.set(qualifier, new Map());
    }
    const folder = this.folders.get(qualifier);
    const earlier = folder.get(resource.key);
    if (earlier) {
      add(resource.file, resource.line, 'resource-twice', `${resource.key} is also in ${earlier.file}:${earlier.line}`);
    } else {
      folder.set(resource.key, resource);
    }
  }

  read(root, folder, qualifier, add) {
    for (const group of readdirSync(folder)) {
      for (const name of readdirSync(join(folder, group)).sort()) {
        const file = relative(root, join(folder, group, name));
        if (name.endsWith('.json')) {
          this.strict(root, file, add);
        }
        if (group === 'element') {
          this.elements(root, file, qualifier, add);
        } else {
          this.put(qualifier, new Resource(group, name.replace(/\.\w+$/, ''), undefined, file, 1), add);
        }
      }
    }
  }

  /** The resource compiler takes no comments and no commas at ends. */
  strict(root, file, add) {
    const text = readFileSync(join(root, file), 'utf8');
    try {
      JSON.parse(text);
    } catch (error) {
      const at = oddness(text);
      add(file, text.slice(0, at).split('\n').length, 'json', error.message.split('\n')[0]);
    }
  }

  elements(root, file, qualifier, add) {
    const read = readJson(root, file);
    for (const [type, list] of Object.entries(read.value)) {
      for (const one of Array.isArray(list) ? list : []) {
        this.put(qualifier, new Resource(type, one.name, one.value, file, read.line(one)), add);
      }
    }
  }
}
