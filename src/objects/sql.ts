/**
 * SQL in the objects. Rows are read with the object's `SqlStorage`, and written only in a transaction.
 *
 * A transaction is a value: functions that write take a {@link Tx}, and only {@link transaction} creates one. So a
 * function that must run in a transaction cannot be called outside of one.
 */

/** A statement that reads. One that writes is a type error. */
type Query = `SELECT ${string}` | `WITH ${string}`;

type Row = Record<string, SqlStorageValue>;

/** A value that is bound to a question mark in a statement. */
type Binding = SqlStorageValue | Uint8Array;

/**
 * The rows of a query, typed by its columns. The tables hold nothing that was not checked before it was written: so
 * here, and nowhere else, text from a row becomes a `Digest`, a `Tag` or a `RepositoryName` again.
 */
export function readRows<T extends Row>(sql: SqlStorage, query: Query, ...bindings: Binding[]): T[] {
  return sql.exec<T>(query, ...bindings).toArray();
}

/**
 * The rows of a query, read one by one, before anything else is written. A reader that may stop early bounds them by
 * `LIMIT`, as the rest is read all the same: a statement that stays open keeps all tables from being dropped, and
 * SQLite's log from being emptied.
 */
export function* eachRow<T extends Row>(sql: SqlStorage, query: Query, ...bindings: Binding[]): Iterable<T> {
  const rows = sql.exec<T>(query, ...bindings);
  try {
    yield* rows;
  } finally {
    while (rows.next().done !== true);
  }
}

/** The first row of a query, if there is one. */
export function firstRow<T extends Row>(
  sql: SqlStorage,
  query: Query,
  ...bindings: Binding[]
): T | undefined {
  return readRows<T>(sql, query, ...bindings)[0];
}

/** The row of a query that has one row. */
export function oneRow<T extends Row>(sql: SqlStorage, query: Query, ...bindings: Binding[]): T {
  return sql.exec<T>(query, ...bindings).one();
}

/** Whether a query has a row. */
export function hasRow(sql: SqlStorage, query: Query, ...bindings: Binding[]): boolean {
  return readRows(sql, query, ...bindings).length > 0;
}

/** Whether there is a table of this name. */
export function hasTable(sql: SqlStorage, name: string): boolean {
  return hasRow(sql, "SELECT 1 FROM sqlite_master WHERE name = ?", name);
}

/** A transaction, which allows writing while its work runs. */
class Transaction {
  /** For reading what it has written so far, too. */
  readonly sql: SqlStorage;
  #isOver = false;

  constructor(sql: SqlStorage) {
    this.sql = sql;
  }

  /**
   * Runs a statement, or several without bindings. Returns the rows of its `RETURNING`, typed as those of {@link
   * readRows}.
   *
   * @throws Error if the transaction has ended: its work must not await anything.
   */
  write<T extends Row>(statement: string, ...bindings: Binding[]): T[] {
    if (this.#isOver) throw new Error("the transaction is over");
    return this.sql.exec<T>(statement, ...bindings).toArray();
  }

  /** Runs a statement whose `RETURNING` has one row. */
  writeOne<T extends Row>(statement: string, ...bindings: Binding[]): T {
    const [row] = this.write<T>(statement, ...bindings);
    if (row === undefined) throw new Error("the statement returned no row");
    return row;
  }

  /** Runs work that may write until it returns. */
  static run<T>(sql: SqlStorage, work: (tx: Transaction) => T): T {
    const tx = new Transaction(sql);
    try {
      return work(tx);
    } finally {
      tx.#isOver = true;
    }
  }
}

/** A running transaction. Only {@link transaction} creates one. */
export type Tx = Transaction;

/** Storage that has transactions. */
export type TransactionalStorage = Pick<DurableObjectStorage, "sql" | "transactionSync">;

/**
 * Runs work that awaits nothing as one transaction. If it throws, nothing that it wrote is kept. Returns the result of
 * the work.
 */
export function transaction<T>(storage: TransactionalStorage, work: (tx: Tx) => T): T {
  return storage.transactionSync(() => Transaction.run(storage.sql, work));
}

/** Thrown in a transaction that is to leave nothing behind, with what {@link transactionUnlessRefused} returns then. */
export class Refused<T> extends Error {
  readonly done: T;

  constructor(done: T) {
    super("the transaction was refused");
    this.done = done;
  }
}

/** Runs a transaction as {@link transaction} does. If its work throws {@link Refused}, nothing that it wrote is kept. */
export function transactionUnlessRefused<T>(storage: TransactionalStorage, work: (tx: Tx) => T): T {
  try {
    return transaction(storage, work);
  } catch (error) {
    if (error instanceof Refused) return error.done;
    throw error;
  }
}

/** How much of a set is bound as one parameter: a parameter holds 2 MB, and a manifest of 4 MiB may reference more. */
const itemsAPiece = 2000;

/** Runs a statement for each piece of a set, bound as JSON, and returns all rows. */
export function inPieces<T>(items: readonly unknown[], run: (json: string) => T[]): T[] {
  const results: T[][] = [];
  for (let start = 0; start < items.length; start += itemsAPiece) {
    results.push(run(JSON.stringify(items.slice(start, start + itemsAPiece))));
  }
  return results.flat();
}

/** How many bytes of rows one call between objects carries, approximately. The limit of the platform is 32 MiB. */
const maxBytesOfCall = 4 * 1024 * 1024;

/**
 * The first rows up to that total size; at least one, if there is one. Clients determine the size of a row, so a batch
 * is limited in bytes as well as in number. Reads one row more than it returns.
 */
export function takeBytes<T>(from: Iterable<T>, bytesOf: (row: T) => number, maxBytes = maxBytesOfCall): T[] {
  const taken: T[] = [];
  let bytes = 0;
  for (const row of from) {
    bytes += bytesOf(row);
    if (bytes > maxBytes && taken.length > 0) break;
    taken.push(row);
  }
  return taken;
}
