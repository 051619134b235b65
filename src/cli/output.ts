/** The output of a command: for people, or JSON. Notes go to stderr, so that stdout can be captured. */
import type { Writable } from "node:stream";

/** Where a command prints. */
export class Output {
  readonly isJson: boolean;
  readonly #stdout: Writable & { isTTY?: boolean };
  readonly #stderr: Writable;

  constructor(stdout: Writable & { isTTY?: boolean }, stderr: Writable, isJson: boolean) {
    this.#stdout = stdout;
    this.#stderr = stderr;
    this.isJson = isJson;
  }

  /**
   * Prints a list: as JSON, or as a table; `toRow` gives the cells of an entry. `none`: what is said of an empty list,
   * such as `there are no accounts`.
   */
  list<T>(none: string, entries: T[], columns: string[], toRow: (entry: T) => string[]): void {
    if (this.isJson) this.json(entries);
    else if (entries.length === 0) this.note(none);
    else this.#write(formatTable([columns, ...entries.map(toRow)]));
  }

  /** A digest for a cell: short in a terminal, whole where another program may read it. */
  digest(text: string): string {
    const [, short] = /^([a-z0-9]+:[0-9a-f]{12})[0-9a-f]+$/.exec(text) ?? [];
    return this.#stdout.isTTY === true ? (short ?? text) : text;
  }

  /** Prints one thing: as JSON, or one field a line. */
  record(value: object, fields: [name: string, text: string][]): void {
    if (this.isJson) this.json(value);
    else this.#write(formatTable(fields.map(([name, text]) => [`${name}:`, text])));
  }

  /**
   * Prints a text of several lines, as it is where another program may read it; with `--json`, the value that it shows.
   */
  text(text: string, value: unknown): void {
    if (this.isJson) this.json(value);
    else this.#write(this.#stdout.isTTY === true ? printableLines(text) : text);
  }

  /** Prints a secret, alone on stdout; with `--json`, together with the object that it belongs to. */
  secret(secret: string, value: object): void {
    if (this.isJson) this.json(value);
    else this.text(`${secret}\n`, value);
  }

  /** Prints that something was done; with `--json`, prints the new state instead. */
  done(message: string, value?: object): void {
    if (this.isJson && value !== undefined) this.json(value);
    else this.note(message);
  }

  /** Prints something for people only. */
  note(message: string): void {
    this.#stderr.write(`${printable(message)}\n`);
  }

  /** Prints JSON, indented; in a terminal, characters that would move its cursor are escaped in it. */
  json(value: unknown): void {
    const json = JSON.stringify(value ?? null, undefined, 2);
    this.#write(`${this.#stdout.isTTY === true ? json.replace(unprintableInJson, escaped) : json}\n`);
  }

  #write(text: string): void {
    this.#stdout.write(text);
  }
}

/** Lines of cells, one under the other. */
export function formatTable(rows: string[][]): string {
  const cells = rows.map((row) => row.map(printable));
  const widths = (cells[0] ?? []).map((_, column) =>
    cells.reduce((width, row) => Math.max(width, row[column]?.length ?? 0), 0),
  );
  const lines = cells.map((row) => row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join("  "));
  return lines.map((line) => `${line.trimEnd()}\n`).join("");
}

/** What {@link printable} shows as codes, of what JSON has as it is. The line ends are those of the indentation. */
const unprintableInJson = /(?!\n)[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu;

/** A character as JSON escapes it: each half of a surrogate pair. */
function escaped(character: string): string {
  return character.replace(/[\s\S]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`);
}

/** Texts come from others: characters that would move a terminal's cursor or end a line are shown as codes. */
export function printable(text: string): string {
  // Control, format and bidirectional characters, and line separators.
  return text.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, (character) => {
    return `\\u{${character.codePointAt(0)?.toString(16)}}`;
  });
}

/** Tabs, and what joins or separates letters and pictures, which does nothing else. */
const kept = /([\t\u200c\u200d])/;

/** The same for a text of several lines, with its tabs. */
function printableLines(text: string): string {
  return text
    .split(/\r?\n/)
    .map((line) =>
      line
        .split(kept)
        .map((part, index) => (index % 2 === 0 ? printable(part) : part))
        .join(""),
    )
    .join("\n");
}
