/**
 * Counts the rows that objects read and write, as the platform bills them: those of indexes too, and one for each alarm
 * that is set. Keeps the plan of every statement. Runs in the Worker.
 */

/** A statement of an object's class, and the steps of SQLite's plan for it. */
export type PlannedStatement = { owner: string; text: string; plan: string[] };

/** What wrote rows: a statement of an object's class, or its alarm; and how many. */
export type Writing = { owner: string; text: string; rows: number };

type Cursor = { rowsRead: number; rowsWritten: number };

/** Watches the tables and alarms of objects. */
export class SqlMeter {
  #watched: { owner: string; text: string; cursor: Cursor }[] = [];
  readonly #statements = new Map<string, PlannedStatement>();

  /** Watches the tables and the alarm of one object from now on. */
  watch(owner: string, storage: DurableObjectStorage): void {
    const { sql } = storage;
    const setAlarm = storage.setAlarm.bind(storage);
    const watchedSetAlarm: DurableObjectStorage["setAlarm"] = (...args) => {
      this.#watched.push({ owner, text: "setAlarm", cursor: { rowsRead: 0, rowsWritten: 1 } });
      return setAlarm(...args);
    };
    const exec = sql.exec.bind(sql);
    const one = (text: string, bindings: SqlStorageValue[], isAlone: boolean) => {
      const key = `${owner} ${text}`;
      if (isAlone && !this.#statements.has(key) && isPlanned(text)) {
        const steps = exec<{ detail: string }>(`EXPLAIN QUERY PLAN ${text}`, ...bindings).toArray();
        this.#statements.set(key, { owner, text, plan: steps.map((step) => step.detail) });
      }
      const cursor = exec(text, ...bindings);
      this.#watched.push({ owner, text, cursor });
      return cursor;
    };
    const watchedExec = (text: string, ...bindings: SqlStorageValue[]) => {
      const statements = statementsOf(text);
      for (const statement of statements.slice(0, -1)) one(statement, [], false);
      return one(statements.at(-1) ?? text, bindings, statements.length === 1);
    };
    Object.defineProperty(storage, "setAlarm", { value: watchedSetAlarm });
    Object.defineProperty(sql, "exec", { value: watchedExec });
  }

  /** The rows that were read and written since this was asked last, and what wrote them. */
  take(): Cursor & { writings: Writing[] } {
    const watched = this.#watched;
    this.#watched = [];
    const sum = (name: keyof Cursor) => watched.reduce((total, { cursor }) => total + cursor[name], 0);
    const writings = watched.map(({ owner, text, cursor }) => ({ owner, text, rows: cursor.rowsWritten }));
    return {
      rowsRead: sum("rowsRead"),
      rowsWritten: sum("rowsWritten"),
      writings: writings.filter(({ rows }) => rows > 0),
    };
  }

  statements(): PlannedStatement[] {
    return [...this.#statements.values()];
  }
}

/** The statements of a text: a cursor counts what the last one of several did, and the platform bills all. */
function statementsOf(text: string): string[] {
  const statements = text.replace(/--.*$/gm, "").split(";");
  return statements.filter((statement) => statement.trim() !== "");
}

/** Whether a statement works on rows; the steps of schemas and pragmas have no plan. */
function isPlanned(text: string): boolean {
  return /^\s*(?:SELECT|INSERT|UPDATE|DELETE|WITH)\b/i.test(text);
}
