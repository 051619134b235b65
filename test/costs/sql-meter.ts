/** Counts the rows that objects read and write, and keeps the plan of every statement. Runs in the Worker. */

/** A statement of an object's class, and the steps of SQLite's plan for it. */
export type PlannedStatement = { owner: string; text: string; plan: string[] };

type Cursor = { rowsRead: number; rowsWritten: number };

/** Watches the tables of objects. */
export class SqlMeter {
  #cursors: Cursor[] = [];
  readonly #statements = new Map<string, PlannedStatement>();

  /** Watches the tables of one object from now on. */
  watch(owner: string, sql: SqlStorage): void {
    const exec = sql.exec.bind(sql);
    const watched = (text: string, ...bindings: SqlStorageValue[]) => {
      const key = `${owner} ${text}`;
      if (!this.#statements.has(key) && isPlanned(text)) {
        const steps = exec<{ detail: string }>(`EXPLAIN QUERY PLAN ${text}`, ...bindings).toArray();
        this.#statements.set(key, { owner, text, plan: steps.map((step) => step.detail) });
      }
      const cursor = exec(text, ...bindings);
      this.#cursors.push(cursor);
      return cursor;
    };
    Object.defineProperty(sql, "exec", { value: watched });
  }

  /** The rows that were read and written since this was asked last. */
  take(): { rowsRead: number; rowsWritten: number } {
    const cursors = this.#cursors;
    this.#cursors = [];
    const sum = (name: keyof Cursor) => cursors.reduce((total, cursor) => total + cursor[name], 0);
    return { rowsRead: sum("rowsRead"), rowsWritten: sum("rowsWritten") };
  }

  statements(): PlannedStatement[] {
    return [...this.#statements.values()];
  }
}

/** Whether a statement works on rows; schemas and pragmas have no plan. */
function isPlanned(text: string): boolean {
  return /^\s*(?:SELECT|INSERT|UPDATE|DELETE|WITH)\b/i.test(text) && !/;\s*\S/.test(text);
}
