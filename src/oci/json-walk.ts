/**
 * Walking through the source text of a JSON document: what `JSON.parse` does not tell, such as keys that are repeated
 * and how a number is written.
 */

/** What is told of a text, from its beginning to its end. Places are offsets into the text. */
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
