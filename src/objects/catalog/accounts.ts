/**
 * Accounts and their generated tokens, as the catalog keeps them.
 */
import type { Grant } from "../../oci/grant.ts";
import type { Account, AccountPut, Page, PasswordHash, TokenPut, TokenRecord } from "../../rpc/api.ts";
import { NameFilter } from "../../rpc/name-filter.ts";
import { eachRow, firstRow, readRows, type Tx } from "../sql.ts";

type AccountRow = {
  name: string;
  password: string | null;
  grants: string;
  disabled: number;
  version: number;
  created_at: number;
};

type TokenRow = {
  id: string;
  account: string;
  description: string;
  grants: string | null;
  created_at: number;
  expires_at: number | null;
  last_used_day: number | null;
};

/** Accounts and tokens in SQL. */
export class Accounts {
  readonly #sql: SqlStorage;

  constructor(sql: SqlStorage) {
    this.#sql = sql;
  }

  account(name: string): Account | undefined {
    const row = firstRow<AccountRow>(this.#sql, "SELECT * FROM accounts WHERE name = ?", name);
    return row && toAccount(row);
  }

  accounts(last: string, limit: number): Page<Account> {
    const query = "SELECT * FROM accounts WHERE name > ? ORDER BY name LIMIT ?";
    const rows = readRows<AccountRow>(this.#sql, query, last, limit + 1);
    return { entries: rows.slice(0, limit).map(toAccount), more: rows.length > limit };
  }

  /** The names of all accounts. */
  names(): NameFilter {
    const filter = new NameFilter();
    const names = eachRow<{ name: string }>(this.#sql, "SELECT name FROM accounts");
    for (const { name } of names) filter.add(name);
    return filter;
  }

  /**
   * Makes or changes an account; without a new password the old one stays. A new account, a new password, and being
   * disabled each give it a version that no account had before. Returns what it is now, and whether it is new.
   */
  put(
    tx: Tx,
    { name, password, grants, isDisabled }: AccountPut,
    now: number,
  ): { account: Account; isNew: boolean } {
    const before = this.account(name);
    const endsWhatWasIssued = before === undefined || password !== undefined || isDisabled;
    const version = endsWhatWasIssued ? this.#nextVersion(tx, now) : before.version;
    const passwordText = password === undefined ? null : JSON.stringify(password);
    const row = tx.writeOne<AccountRow>(
      `INSERT INTO accounts (name, password, grants, disabled, version, created_at) VALUES (?, ?, ?, ?, ?, ?)
       ON CONFLICT DO UPDATE SET
         password = coalesce(excluded.password, password),
         version = excluded.version, grants = excluded.grants, disabled = excluded.disabled
       RETURNING *`,
      name,
      passwordText,
      JSON.stringify(grants),
      isDisabled ? 1 : 0,
      version,
      now,
    );
    return { account: toAccount(row), isNew: before === undefined };
  }

  /** Changes the password of an account that has this version and is not disabled. Returns what it is now. */
  changePassword(
    tx: Tx,
    name: string,
    version: string,
    password: PasswordHash,
    now: number,
  ): Account | undefined {
    const before = this.account(name);
    if (before === undefined || before.isDisabled || String(before.version) !== version) return undefined;
    return this.put(tx, { name, password, grants: before.grants, isDisabled: false }, now).account;
  }

  /**
   * A new version: at least the current time, so it is higher than all earlier ones, even those of deleted accounts.
   */
  #nextVersion(tx: Tx, now: number): number {
    return tx.writeOne<{ version: number }>(
      "UPDATE latest_version SET version = max(version + 1, ?) WHERE id = 1 RETURNING version",
      now,
    ).version;
  }

  /** Deletes an account with its tokens. Returns whether there was one. */
  delete(tx: Tx, name: string): boolean {
    tx.write("DELETE FROM tokens WHERE account = ?", name);
    return tx.write("DELETE FROM accounts WHERE name = ? RETURNING name", name).length > 0;
  }

  /** Adds a token. A repeated call changes nothing. */
  addToken(tx: Tx, token: TokenPut): void {
    tx.write(
      `INSERT OR IGNORE INTO tokens (id, account, description, secret_hash, grants, created_at, expires_at)
       VALUES (?, ?, ?, ?, ?, ?, ?)`,
      token.id,
      token.account,
      token.description,
      token.secretHash,
      token.grants === undefined ? null : JSON.stringify(token.grants),
      token.createdAtMs,
      token.expiresAtMs ?? null,
    );
  }

  tokens(account: string): TokenRecord[] {
    const query = "SELECT * FROM tokens WHERE account = ? ORDER BY created_at, id";
    return readRows<TokenRow>(this.#sql, query, account).map(toToken);
  }

  token(id: string): TokenRecord | undefined {
    const row = firstRow<TokenRow>(this.#sql, "SELECT * FROM tokens WHERE id = ?", id);
    return row && toToken(row);
  }

  tokenBySecret(secretHash: string): TokenRecord | undefined {
    const row = firstRow<TokenRow>(this.#sql, "SELECT * FROM tokens WHERE secret_hash = ?", secretHash);
    return row && toToken(row);
  }

  deleteToken(tx: Tx, account: string, id: string): boolean {
    return tx.write("DELETE FROM tokens WHERE account = ? AND id = ? RETURNING id", account, id).length > 0;
  }

  /** Records the day on which a token was used; written once a day. */
  touchToken(tx: Tx, id: string, day: number): void {
    tx.write(
      "UPDATE tokens SET last_used_day = ? WHERE id = ? AND coalesce(last_used_day, 0) < ?",
      day,
      id,
      day,
    );
  }
}

function toAccount(row: AccountRow): Account {
  return {
    name: row.name,
    grants: JSON.parse(row.grants) as Grant[],
    isDisabled: row.disabled === 1,
    version: row.version,
    createdAtMs: row.created_at,
    ...(row.password === null ? {} : { password: JSON.parse(row.password) as PasswordHash }),
  };
}

function toToken(row: TokenRow): TokenRecord {
  return {
    id: row.id,
    account: row.account,
    description: row.description,
    createdAtMs: row.created_at,
    ...(row.grants === null ? {} : { grants: JSON.parse(row.grants) as Grant[] }),
    ...(row.expires_at === null ? {} : { expiresAtMs: row.expires_at }),
    ...(row.last_used_day === null ? {} : { lastUsedDay: row.last_used_day }),
  };
}
