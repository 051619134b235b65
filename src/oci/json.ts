/**
 * JSON as source text, and as clients in other languages read it.
 *
 * The walk tells what `JSON.parse` does not, such as keys that are repeated and how a number is written. The names of
 * fields are compared as Go's `encoding/json` does: it takes a key for a field also if the two are equal under Unicode's
 * simple case folding.
 *
 * Source: Go 1.21 and later, `encoding/json`, `foldName` and `foldRune`.
 */

/** Receives what a text consists of, from beginning to end. Positions are offsets into the text. */
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
 * Walks through a text in one pass. It takes no more of the stack for deep nesting. Of a text that is no JSON it tells
 * something, and comes to an end: whether it is JSON, `JSON.parse` says.
 */
export function walkJson(text: string, visitor: JsonVisitor): void {
  /** Of the containers around the one that the walk is in, whether each is an object. */
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

/** Where the closing quote is of a string whose text begins here, or the end of the text. */
function endOfString(text: string, start: number): number {
  let at = start;
  for (; at < text.length; at++) {
    const character = text.charCodeAt(at);
    if (character === quote) return at;
    // What it escapes cannot be the closing quote.
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
/** `"\u0061"`: what stands for one character has six at most. */
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
   * Which field a key stands for, the source of which lies here in a JSON text: its number, negative where only folding
   * makes the two equal, or 0 for none.
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

/** Whether a key that is as long as a name is that name. 1: yes; -1: under folding; 0: no. */
function compare(text: string, start: number, name: string): 1 | -1 | 0 {
  let equality: 1 | -1 = 1;
  let at = start;
  for (let index = 0; index < name.length; index++) {
    const expected = name.charCodeAt(index);
    let character = text.charCodeAt(at++);
    if (character === backslash) {
      // What other escapes stand for is in no name.
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

/** The character that stands for all that are the same under folding, as far as ASCII is among them. */
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

/** The character that four hexadecimal digits stand for. */
function codeOfHex(text: string, start: number): number {
  let code = 0;
  for (let at = start; at < start + 4; at++) {
    const digit = text.charCodeAt(at);
    code = code * 16 + (digit <= 0x39 ? digit - 0x30 : (digit | 0x20) - 0x57);
  }
  return code;
}
