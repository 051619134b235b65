/** A registry that lets nobody in without a credential. Whatever it logs is searched for secrets. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { importJWK, type JWK, SignJWT } from "jose";
import type { Grant } from "../../src/oci/grant.ts";
import type { SigningKey } from "../../src/rpc/api.ts";
import type { VariableName, Variables } from "../../src/settings/settings.ts";
import { fetchOnce } from "./client.ts";
import { type Started, startRegistryAs, TestRegistry } from "./registry.ts";

export const admin = { name: "admin", password: "correct horse battery staple" };

/** A running registry. Its clients are `nobody`, unless a call says as whom. */
export class ClosedRegistry extends TestRegistry {
  readonly #hasAdmin: boolean;

  constructor(started: Started, hasAdmin: boolean) {
    super(started);
    this.#hasAdmin = hasAdmin;
    this.secrets.add(admin.password);
  }

  /** Makes an account with a password. */
  async account(name: string, grants: Grant[]): Promise<{ name: string; password: string }> {
    const password = `password of ${name} ${crypto.randomUUID()}`;
    const as = { name, password };
    await this.must(201, "PUT", `/api/v1/accounts/${name}`, { as: admin, json: { password, grants } });
    this.secrets.add(password);
    return as;
  }

  /** Makes a generated token of an account. */
  async generateToken(account: string, more: object = {}): Promise<{ id: string; secret: string }> {
    const json = { description: "made by a test", ...more };
    const made = await this.must(201, "POST", `/api/v1/accounts/${account}/tokens`, { as: admin, json });
    const token = made.json<{ id: string; secret: string }>();
    this.secrets.add(token.secret);
    return token;
  }

  /** Makes a repository public or private. */
  async setVisibility(repository: string, visibility: "public" | "private"): Promise<void> {
    await this.must(200, "PATCH", `/api/v1/repositories/${repository}`, { as: admin, json: { visibility } });
  }

  /** Moves the registry's clock. */
  async advance(milliseconds: number): Promise<void> {
    await this.#control(`advance?ms=${milliseconds}`);
  }

  /** Stops the registry's clock until it is moved. */
  async holdClock(): Promise<void> {
    await this.#control("hold-clock");
  }

  /** Lets what waits for others give up so many times sooner. */
  async hurry(times: number): Promise<void> {
    await this.#control(`hurry?times=${times}`);
  }

  /** Deploys the registry anew with another value of a variable; its objects keep what they were started with. */
  async deployWith(name: VariableName, value: string): Promise<void> {
    this.secrets.add(value);
    await this.#control(`set?${new URLSearchParams({ name, value })}`);
  }

  /** Signs claims with the registry's own key, as whoever has stolen it could. */
  async signAsRegistry(claims: Record<string, unknown>, typ = "at+jwt"): Promise<string> {
    const [key] = (await (await this.#control("keys")).json()) as [SigningKey];
    const signer = await importJWK(key.privateJwk as JWK, "EdDSA");
    const token = await new SignJWT(claims)
      .setProtectedHeader({ alg: "EdDSA", kid: key.kid, typ })
      .sign(signer);
    this.secrets.add(token);
    return token;
  }

  /** Cuts off the next call of a binding's method, such as `LEDGERS.resolveTags`. */
  async loseNext(call: string): Promise<void> {
    await this.#control(`lose?call=${call}`);
  }

  /**
   * The calls to bindings since they were last asked for, by `BINDING.method`, but for reports of counts: an isolate makes
   * one every half minute, at whichever request comes then.
   */
  async takeCalls(): Promise<Record<string, number>> {
    const calls = (await (await this.#control("calls")).json()) as Record<string, number>;
    const { "CATALOG.addCounts": _counts, "SEARCH.addPulls": _pulls, ...others } = calls;
    return others;
  }

  async #control(action: string): Promise<Response> {
    const response = await fetchOnce(`${this.url}/_test/${action}`);
    assert.equal(response.status, 200);
    return response;
  }

  /** Everything in the audit log, newest first. */
  async audit(): Promise<Record<string, unknown>[]> {
    const answer = await this.must(200, "GET", "/api/v1/audit?n=1000", { as: admin });
    return answer.json<{ entries: Record<string, unknown>[] }>().entries;
  }

  /** Ends the registry. A failure of its own, or a secret in its logs, fails the tests. */
  override async end(): Promise<void> {
    try {
      if (this.#hasAdmin) this.assertNoSecret("the audit log", JSON.stringify(await this.audit()));
    } finally {
      await super.end();
    }
  }
}

const entry = join(import.meta.dirname, "closed-worker.ts");

/**
 * `hasAdmin`: the audit log can be read at the end. `maxMisses`: how often a minute anonymous callers may ask in vain;
 * `maxAddressFailures`: how many wrong passwords a minute one address may show, instead of what wrangler.toml says.
 */
type ServeOptions = { hasAdmin?: boolean; maxMisses?: number; maxAddressFailures?: number };

/** Starts a registry as on the platform, which ends after the tests of the file. */
export function startClosedRegistry(
  vars: Variables = {},
  { hasAdmin = true, maxMisses = 300, maxAddressFailures = 100 }: ServeOptions = {},
): Promise<ClosedRegistry> {
  const limit = (id: string, limit: number) => ({ namespace_id: id, simple: { limit, period: 60 as const } });
  return startRegistryAs((started) => new ClosedRegistry(started, hasAdmin), {
    entry,
    miniflare: {
      ratelimits: {
        LOGIN_FAILURES: limit("1", 10),
        ADDRESS_LOGIN_FAILURES: limit("3", maxAddressFailures),
        ANONYMOUS_MISSES: limit("2", maxMisses),
      },
    },
    vars: {
      ADMIN_PASSWORD: admin.password,
      ADDRESS_HEADER: "CF-Connecting-IP",
      EVENT_QUIET: "0s",
      ...vars,
    },
  });
}
