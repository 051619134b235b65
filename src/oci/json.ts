/**
 * JSON as source text, and as clients in other languages read it.
 *
 * The walk reports what `JSON.parse` hides, such as repeated keys and how a number is written. Names of fields are
 * compared as in Go's `encoding/json`: a key matches a field even if they are only equal under Unicode's simple case
 * folding.
 *
 * Source: Go 1.21 and later, `encoding/json`, `foldName` and `foldRune`.
 */

/** Receives the parts of a text, from beginning to end. Positions are offsets into the text. */
export interface JsonVisitor {
  /** An object, or else an array, begins. */
  open(isObject: boolean): void;
  close(): void;
  /** The key of the value that comes next; its source lies between its quotes. */
  key(start: number, end: number): void;
  /** A string that is a value; its source lies between its quotes. */
  string(start: number, end: number): void;
  /** A number, `true`, `false` or `null`. */
  scalar(start: number, end: number): void;
}

const quote = 0x22;
const comma = 0x2c;
const colon = 0x3a;
const backslash = 0x5c;
const [bracketOpen, bracketClose, braceOpen, braceClose] = [0x5b, 0x5d, 0x7b, 0x7d];

/**
 * Walks through a text in one pass, without recursion. It does not check whether the text is valid JSON, as
 * `JSON.parse` does that; for invalid JSON it ends, but what it reports is undefined.
 */
export function walkJson(text: string, visitor: JsonVisitor): void {
  /** For each container around the current one, whether it is an object. */
  const around: boolean[] = [];
  let inObject = false;
  let isKeyNext = false;
  for (let at = 0; at < text.length; at++) {
    const character = text.charCodeAt(at);
    if (character === quote) {
      const end = endOfString(text, at + 1);
      if (isKeyNext) visitor.key(at + 1, end);
      else visitor.string(at + 1, end);
      at = end;
    } else if (character === braceOpen || character === bracketOpen) {
      around.push(inObject);
      inObject = character === braceOpen;
      isKeyNext = inObject;
      visitor.open(inObject);
    } else if (character === braceClose || character === bracketClose) {
      inObject = around.pop() ?? false;
      isKeyNext = false;
      visitor.close();
    } else if (character === comma) {
      isKeyNext = inObject;
    } else if (character === colon) {
      isKeyNext = false;
    } else if (character > 0x20) {
      const end = endOfScalar(text, at + 1);
      visitor.scalar(at, end);
      at = end - 1;
    }
  }
}

/** The position of the closing quote of a string whose text begins here, or the end of the text. */
function endOfString(text: string, start: number): number {
  let at = start;
  for (; at < text.length; at++) {
    const character = text.charCodeAt(at);
    if (character === quote) return at;
    // The escaped character cannot be the closing quote.
    if (character === backslash) at++;
  }
  return at;
}

function endOfScalar(text: string, start: number): number {
  let at = start;
  for (; at < text.length; at++) {
    const character = text.charCodeAt(at);
    if (character <= 0x20 || character === comma || character === braceClose || character === bracketClose)
      break;
  }
  return at;
}

const letterU = 0x75;
/** An escape such as `\u0061` has at most six characters. */
const longestEscape = 6;

type Candidate = { number: number; name: string };

/** A set of names of fields, numbered from 1 in the order given. They are of ASCII letters and full stops. */
export class FieldNames {
  /** By their length. */
  readonly #candidates: Candidate[][] = [];
  readonly #longest: number;

  constructor(names: readonly string[]) {
    for (const [index, name] of names.entries()) {
      this.#candidates[name.length] ??= [];
      this.#candidates[name.length]?.push({ number: index + 1, name });
    }
    this.#longest = Math.max(...names.map(({ length }) => length));
  }

  /**
   * The field that matches a key, whose source is at these positions of a JSON text: its number, negated if they are
   * equal only under folding, or 0 for none.
   */
  find(text: string, start: number, end: number): number {
    const length = end - start;
    if (length > this.#longest * longestEscape) return 0;
    const found = this.#match(text, start, length);
    if (found !== 0 || length < longestEscape) return found;
    const escapes = countEscapes(text, start, end);
    return escapes === 0 ? 0 : this.#match(text, start, length - escapes * (longestEscape - 1));
  }

  /** `length`: that of the key without its escapes. */
  #match(text: string, start: number, length: number): number {
    const candidates = this.#candidates[length];
    if (candidates === undefined) return 0;
    for (const { number, name } of candidates) {
      const equality = compare(text, start, name);
      if (equality !== 0) return number * equality;
    }
    return 0;
  }
}

/** Whether a key equals a name of the same length. 1: yes; -1: only under folding; 0: no. */
function compare(text: string, start: number, name: string): 1 | -1 | 0 {
  let equality: 1 | -1 = 1;
  let at = start;
  for (let index = 0; index < name.length; index++) {
    const expected = name.charCodeAt(index);
    let character = text.charCodeAt(at++);
    if (character === backslash) {
      // No name contains the characters of other escapes.
      if (text.charCodeAt(at) !== letterU) return 0;
      character = codeOfHex(text, at + 1);
      at += longestEscape - 1;
    }
    if (character === expected) continue;
    if (fold(character) !== fold(expected)) return 0;
    equality = -1;
  }
  return equality;
}

/** The canonical character of those that are equal under folding, if one of them is ASCII. */
function fold(character: number): number {
  if (character >= 0x41 && character <= 0x5a) return character + 0x20;
  // LATIN SMALL LETTER LONG S and KELVIN SIGN are the only ones beyond ASCII that fold into it.
  if (character === 0x17f) return 0x73;
  return character === 0x212a ? 0x6b : character;
}

function countEscapes(text: string, start: number, end: number): number {
  let count = 0;
  for (let at = start; at < end; at++) if (text.charCodeAt(at) === backslash) count++;
  return count;
}

/** The character with this code of four hexadecimal digits. */
function codeOfHex(text: string, start: number): number {
  let code = 0;
  for (let at = start; at < start + 4; at++) {
    const digit = text.charCodeAt(at);
    code = code * 16 + (digit <= 0x39 ? digit - 0x30 : (digit | 0x20) - 0x57);
  }
  return code;
}
