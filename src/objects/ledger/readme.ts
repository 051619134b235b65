/** The README of the repository: a text in a table of its own, as it is larger than the record that each call reads. */
import { firstRow, type Tx } from "../sql.ts";
import type { Feature } from "./feature.ts";

/** The README. */
export class Readme implements Feature {
  readonly tables = { readme: { key: ["id"], comesBack: "at the end" } } as const;

  readonly steps = {
    // Where an earlier release deletes the repository, the README stays, and is that of the next one of its name.
    13: {
      compatible: `
  CREATE TABLE readme (id INTEGER PRIMARY KEY CHECK (id = 1), text TEXT NOT NULL);
`,
    },
  };

  readonly jobs = {};

  /** Replaces the text, if one is given. With an empty one, there is no README. */
  write(tx: Tx, text: string | undefined): void {
    if (text === undefined) return;
    if (text === "") tx.write("DELETE FROM readme");
    else tx.write("INSERT OR REPLACE INTO readme (id, text) VALUES (1, ?)", text);
  }
}

/** The text; empty if there is none. */
export function readReadme(sql: SqlStorage): string {
  return firstRow<{ text: string }>(sql, "SELECT text FROM readme")?.text ?? "";
}
