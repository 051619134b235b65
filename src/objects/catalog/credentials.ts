/** The catalog's transactions that are about credentials, and its audit log. */
import { DurableObject } from "cloudflare:workers";
import type { Env } from "../../bindings.ts";
import type { Clock } from "../../clock.ts";
import type { AuditKind } from "../../oci/audit.ts";
import type {
  Account,
  AccountPut,
  CatalogApi,
  KeptAuditEntry,
  NewAuditEntry,
  Page,
  PasswordHash,
  SigningKey,
  TokenPut,
  TokenRecord,
} from "../../rpc/api.ts";
import { type Settings, settingsOf } from "../../settings/settings.ts";
import { type Tx, transaction } from "../sql.ts";
import { Accounts } from "./accounts.ts";
import { AuditLog } from "./audit-log.ts";
import { Keys } from "./keys.ts";

/** What {@link CatalogCredentials} does of the catalog. */
type Credentials = Pick<
  CatalogApi,
  | "account"
  | "listAccounts"
  | "accountNames"
  | "putAccount"
  | "changePassword"
  | "deleteAccount"
  | "addToken"
  | "token"
  | "tokenBySecret"
  | "listTokens"
  | "deleteToken"
  | "sessionSecret"
  | "signingKeys"
  | "rotateSigningKey"
  | "audit"
  | "listAudit"
>;

/** The object with these transactions; see {@link CatalogApi} for what each does. */
export abstract class CatalogCredentials extends DurableObject<Env> implements Credentials {
  protected readonly clock: Clock;
  protected readonly settings: Settings;
  readonly #accounts: Accounts;
  readonly #keys: Keys;
  readonly #audit: AuditLog;

  constructor(ctx: DurableObjectState, env: Env, clock: Clock) {
    super(ctx, env);
    this.clock = clock;
    this.settings = settingsOf(env);
    this.#accounts = new Accounts(ctx.storage.sql);
    this.#keys = new Keys(ctx.storage, clock, this.settings.refreshTtlMs);
    this.#audit = new AuditLog(ctx.storage.sql);
  }

  protected change<T>(work: (tx: Tx) => T): T {
    return transaction(this.ctx.storage, work);
  }

  // ── Accounts and tokens ──────────────────────────────────────────────────────────────────────────────────────

  async account(name: string): Promise<Account | undefined> {
    return this.#accounts.account(name);
  }

  async listAccounts(last: string, limit: number): Promise<Page<Account>> {
    return this.#accounts.accounts(last, limit);
  }

  async accountNames(): Promise<Uint8Array<ArrayBuffer>> {
    return this.#accounts.names().bytes;
  }

  async putAccount(account: AccountPut): Promise<{ account: Account; isNew: boolean }> {
    return this.change((tx) => this.#accounts.put(tx, account, this.clock.now()));
  }

  async changePassword(name: string, version: string, password: PasswordHash): Promise<Account | undefined> {
    return this.change((tx) => this.#accounts.changePassword(tx, name, version, password, this.clock.now()));
  }

  async deleteAccount(name: string): Promise<boolean> {
    return this.change((tx) => this.#accounts.delete(tx, name));
  }

  async addToken(token: TokenPut): Promise<void> {
    this.change((tx) => this.#accounts.addToken(tx, token));
  }

  async token(id: string): Promise<TokenRecord | undefined> {
    return this.#accounts.token(id);
  }

  async tokenBySecret(secretHash: string, day: number): Promise<TokenRecord | undefined> {
    const token = this.#accounts.tokenBySecret(secretHash);
    if (token !== undefined && (token.lastUsedDay ?? 0) < day) {
      this.change((tx) => this.#accounts.touchToken(tx, token.id, day));
    }
    return token;
  }

  async listTokens(account: string): Promise<TokenRecord[]> {
    return this.#accounts.tokens(account);
  }

  async deleteToken(account: string, id: string): Promise<boolean> {
    return this.change((tx) => this.#accounts.deleteToken(tx, account, id));
  }

  // ── Keys ─────────────────────────────────────────────────────────────────────────────────────────────────────

  async sessionSecret(): Promise<Uint8Array> {
    return this.#keys.sessionSecret();
  }

  async signingKeys(): Promise<SigningKey[]> {
    return this.#keys.current();
  }

  async rotateSigningKey(): Promise<SigningKey[]> {
    return this.#keys.rotate();
  }

  // ── Audit ────────────────────────────────────────────────────────────────────────────────────────────────────

  async audit(entries: NewAuditEntry[]): Promise<void> {
    this.change((tx) => this.#audit.add(tx, entries));
  }

  async listAudit(kind: AuditKind | undefined, before: number, limit: number): Promise<Page<KeptAuditEntry>> {
    return this.#audit.list(kind, before, limit);
  }
}
