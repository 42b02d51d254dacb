// The formatter of pages. It is young, so what it writes has to have the same tokens and comments.
import { format } from '@ohos-rs/oxk/format';
import { ts } from './ets.js';

const STYLE = { printWidth: 140, singleQuote: true, trailingComma: 'none', arrowParens: 'always', semi: true };

/** What formatting may add or take away. */
const LOOSE = new Set([ts.SyntaxKind.SemicolonToken, ts.SyntaxKind.CommaToken, ts.SyntaxKind.OpenParenToken, ts.SyntaxKind.CloseParenToken]);
const BLANK = new Set([ts.SyntaxKind.WhitespaceTrivia, ts.SyntaxKind.NewLineTrivia]);

function tokens(text) {
  const scanner = ts.createScanner(ts.ScriptTarget.ES2021, false, ts.LanguageVariant.Standard, text);
  const found = [];
  // Braces that are open, and whether each is a template's: there its text goes on after the closing one.
  const open = [];
  for (let kind = scanner.scan(); kind !== ts.SyntaxKind.EndOfFileToken; kind = scanner.scan()) {
    if (kind === ts.SyntaxKind.CloseBraceToken && open.pop()) {
      kind = scanner.reScanTemplateToken(false);
    }
    if (kind === ts.SyntaxKind.OpenBraceToken) {
      open.push(false);
    } else if (kind === ts.SyntaxKind.TemplateHead || kind === ts.SyntaxKind.TemplateMiddle) {
      open.push(true);
    }
    if (!LOOSE.has(kind) && !BLANK.has(kind)) {
      found.push(kind === ts.SyntaxKind.StringLiteral ? scanner.getTokenValue() : scanner.getTokenText().replace(/\s+/g, ' '));
    }
  }
  return found.join('\n');
}

/** A page as the formatter has it, or as it is where the formatter does not understand it or would change what it says. */
export async function formatted(path, text) {
  const { code, errors } = await format(path, text, STYLE);
  return errors.length === 0 && tokens(code) === tokens(text) ? code : text;
}
