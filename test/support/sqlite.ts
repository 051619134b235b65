/** Tables in memory, as objects see theirs: for tests of what is kept, without a Worker. */
import { DatabaseSync, type SQLInputValue, type StatementSync } from "node:sqlite";

// As in a Worker: what takes long lets other calls run in between.
Object.assign(globalThis, { scheduler: { wait: async () => {} } });

/** SQL of its own. A text of several statements takes no bindings, as in a Worker only the last may. */
function memorySql(): SqlStorage {
  const database = new DatabaseSync(":memory:");
  const statements = new Map<string, StatementSync>();
  const prepare = (text: string) => {
    const statement = statements.get(text) ?? database.prepare(text);
    statements.set(text, statement);
    return statement;
  };
  const exec = (text: string, ...bindings: SQLInputValue[]) => {
    if (bindings.length === 0 && /;\s*\S/.test(text)) {
      database.exec(text);
      return cursorOf([]);
    }
    const rows = prepare(text).all(...bindings);
    const [{ changes } = { changes: 0 }] = prepare("SELECT changes() AS changes").all();
    return cursorOf(rows, Number(changes));
  };
  const used = `SELECT ((SELECT page_count FROM pragma_page_count) - (SELECT freelist_count FROM pragma_freelist_count))
    * (SELECT page_size FROM pragma_page_size) AS bytes`;
  const sql = {
    exec,
    get databaseSize() {
      return Number(prepare(used).get()?.bytes);
    },
  };
  return sql as unknown as SqlStorage;
}

/** The storage of an object, without tables and without an alarm. */
export function memoryStorage(): DurableObjectStorage {
  const sql = memorySql();
  const storage: Pick<DurableObjectStorage, "sql" | "transactionSync"> = {
    sql,
    transactionSync: (work) => {
      sql.exec("SAVEPOINT work");
      try {
        return work();
      } catch (error) {
        sql.exec("ROLLBACK TO work");
        throw error;
      } finally {
        sql.exec("RELEASE work");
      }
    },
  };
  return storage as DurableObjectStorage;
}

function cursorOf(rows: object[], rowsWritten = 0) {
  const left = rows.values();
  return {
    rowsWritten,
    next: () => left.next(),
    toArray: () => rows,
    one: () => {
      if (rows.length !== 1) throw new Error(`there are ${rows.length} rows`);
      return rows[0];
    },
    [Symbol.iterator]: () => left,
  };
}

/** All rows of a table of a database file; none where there is no such table. */
export function rowsIn(file: string, table: string): object[] {
  const database = new DatabaseSync(file, { readOnly: true, timeout: 5000 });
  try {
    const isThere = database.prepare("SELECT 1 FROM sqlite_master WHERE name = ?").get(table) !== undefined;
    return isThere ? database.prepare(`SELECT * FROM ${table}`).all() : [];
  } finally {
    database.close();
  }
}
