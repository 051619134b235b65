/** Tables in memory, as objects see theirs: for tests of what is kept, without a Worker. */
import { DatabaseSync, type SQLInputValue } from "node:sqlite";

/** A `SqlStorage` of its own. A text of several statements takes no bindings, as in a Worker only the last may. */
export function memorySql(): SqlStorage {
  const database = new DatabaseSync(":memory:");
  const exec = (text: string, ...bindings: SQLInputValue[]) => {
    if (bindings.length === 0 && /;\s*\S/.test(text)) {
      database.exec(text);
      return cursorOf([]);
    }
    return cursorOf(database.prepare(text).all(...bindings));
  };
  return { exec } as unknown as SqlStorage;
}

function cursorOf(rows: object[]) {
  return {
    toArray: () => rows,
    one: () => {
      if (rows.length !== 1) throw new Error(`there are ${rows.length} rows`);
      return rows[0];
    },
    [Symbol.iterator]: () => rows.values(),
  };
}
