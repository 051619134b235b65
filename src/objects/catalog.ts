/**
 * What there is one of in a registry: secrets it made for itself, and the list of repositories, which is derived
 * from the ledgers. Small and rarely written; the edge keeps what it needs of it.
 */
import { DurableObject } from "cloudflare:workers";
import type { Env } from "../env.ts";
import type { RepositoryName } from "../oci/name.ts";
import type { CatalogApi, Page } from "./api.ts";

const tables = `
  CREATE TABLE IF NOT EXISTS secrets (name TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS repositories (name TEXT PRIMARY KEY) WITHOUT ROWID;
`;

/** The catalog; see {@link CatalogApi} for what each method promises. */
export class Catalog extends DurableObject<Env> implements CatalogApi {
  readonly #sql: SqlStorage;

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env);
    this.#sql = ctx.storage.sql;
    this.#sql.exec(tables);
  }

  async sessionSecret(): Promise<Uint8Array> {
    const fresh = crypto.getRandomValues(new Uint8Array(32));
    this.#sql.exec("INSERT OR IGNORE INTO secrets (name, value) VALUES ('session', ?)", fresh);
    const row = this.#sql.exec<{ value: ArrayBuffer }>("SELECT value FROM secrets WHERE name = 'session'").one();
    return new Uint8Array(row.value);
  }

  async addRepository(repository: RepositoryName): Promise<void> {
    this.#sql.exec("INSERT OR IGNORE INTO repositories (name) VALUES (?)", repository);
  }

  async listRepositories(last: string, limit: number): Promise<Page<RepositoryName>> {
    const names = this.#sql
      .exec<{ name: RepositoryName }>(
        "SELECT name FROM repositories WHERE name > ? ORDER BY name LIMIT ?",
        last,
        limit + 1,
      )
      .toArray()
      .map((row) => row.name);
    return { entries: names.slice(0, limit), more: names.length > limit };
  }
}
