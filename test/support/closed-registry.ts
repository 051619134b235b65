/** A registry that lets nobody in without a credential, and its clients. Whatever it logs is searched for secrets. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { Writable } from "node:stream";
import { after } from "node:test";
import { importJWK, type JWK, SignJWT } from "jose";
import type { SigningKey } from "../../../src/objects/api.ts";
import type { Grant } from "../../../src/oci/grant.ts";
import { imageManifestType } from "../../../src/oci/media-type.ts";
import type { VariableName, Variables } from "../../../src/settings/settings.ts";
import { Answer, deadlineMs, type ErrorEntry, fetchOnce, type PushedImage } from "../../support/client.ts";
import { configType, content, describe, digestOf, imageManifest, layerType } from "../../support/content.ts";
import { checkByContract } from "../../support/contract.ts";
import { type Instance, startInstance } from "../../support/miniflare/instance.ts";
import { makeData, removeData } from "../../support/temporary.ts";

/** A user name and a password, or a bearer token. */
export type Credential = { name: string; password: string } | string;

export type CallOptions = {
  as?: Credential | undefined;
  headers?: Record<string, string>;
  body?: Uint8Array | string;
  json?: unknown;
  form?: [string, string][];
};

export type TokenAnswer = {
  token: string;
  access_token: string;
  expires_in: number;
  issued_at: string;
  refresh_token?: string;
  scope?: string;
};

export const admin = { name: "admin", password: "correct horse battery staple" };

export function basic(name: string, password: string): string {
  return `Basic ${Buffer.from(`${name}:${password}`).toString("base64")}`;
}

function authorization(as: Credential): string {
  return typeof as === "string" ? `Bearer ${as}` : basic(as.name, as.password);
}

/** A running registry. Its own answers, whatever is asked, are never a failure of the registry. */
export class AuthRegistry {
  readonly url: string;
  readonly instance: Instance;
  /** What was shown to the registry or came from it, and must not be in any log. */
  readonly secrets = new Set<string>([admin.password]);
  readonly #logged: string[];

  constructor(instance: Instance, logged: string[]) {
    this.url = instance.url;
    this.instance = instance;
    this.#logged = logged;
  }

  get log(): string {
    return this.#logged.join("");
  }

  /** Sends a request. */
  async call(method: string, path: string, options: CallOptions = {}): Promise<Answer> {
    const { as, json, form } = options;
    if (as !== undefined) this.secrets.add(typeof as === "string" ? as : as.password);
    const body =
      json !== undefined ? JSON.stringify(json) : (form && new URLSearchParams(form)) || options.body;
    const response = await fetchOnce(this.url + path, {
      method,
      headers: { ...(as === undefined ? {} : { Authorization: authorization(as) }), ...options.headers },
      redirect: "manual",
      signal: AbortSignal.timeout(deadlineMs),
      ...(body === undefined ? {} : { body: body as BodyInit }),
    });
    const answer = new Answer(
      response.status,
      response.headers,
      new Uint8Array(await response.arrayBuffer()),
    );
    checkAnswer(method, path, answer);
    return answer;
  }

  /** Sends a request that must have this status. */
  async must(status: number, method: string, path: string, options: CallOptions = {}): Promise<Answer> {
    const answer = await this.call(method, path, options);
    assert.equal(answer.status, status, `${method} ${path}: ${answer.text}`);
    return answer;
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

  /** Asks `/token` for scopes. */
  async askToken(as: Credential | undefined, scopes: string[], more = ""): Promise<TokenAnswer> {
    const query = new URLSearchParams(scopes.map((scope) => ["scope", scope]));
    const answer = await this.must(200, "GET", `/token?service=stowage&${query}${more}`, { as });
    const issued = answer.json<TokenAnswer>();
    this.secrets.add(issued.token);
    if (issued.refresh_token !== undefined) this.secrets.add(issued.refresh_token);
    return issued;
  }

  /** A bearer token for scopes, some of which may not be granted. */
  async bearer(as: Credential | undefined, ...scopes: string[]): Promise<string> {
    return (await this.askToken(as, scopes)).token;
  }

  /** Pushes a blob with one POST; returns its digest. */
  async pushBlob(as: Credential, repository: string, body: Uint8Array = content()): Promise<string> {
    const digest = digestOf(body);
    await this.must(201, "POST", `/v2/${repository}/blobs/uploads/?digest=${digest}`, { as, body });
    return digest;
  }

  /** Pushes an image of one layer; `more` goes into its manifest. */
  async pushImage(as: Credential, repository: string, tag: string, more: object = {}): Promise<PushedImage> {
    const config = content();
    const layer = content();
    await Promise.all([config, layer].map((bytes) => this.pushBlob(as, repository, bytes)));
    const manifest = imageManifest(describe(config, configType), [describe(layer, layerType)], more);
    const digest = await this.putManifest(as, repository, tag, manifest);
    return { digest, manifest, config: digestOf(config), layers: [digestOf(layer)] };
  }

  async putManifest(as: Credential, repository: string, tag: string, body: Uint8Array): Promise<string> {
    const headers = { "Content-Type": imageManifestType };
    const put = await this.must(201, "PUT", `/v2/${repository}/manifests/${tag}`, { as, headers, body });
    return put.header("Docker-Content-Digest");
  }

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

  /** The calls to bindings since they were last asked for, by `BINDING.method`. */
  async takeCalls(): Promise<Record<string, number>> {
    return (await (await this.#control("calls")).json()) as Record<string, number>;
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

  /** Ends the registry. An exception that became a 500, or a secret in a log, fails the tests. */
  async end(hasAdmin: boolean): Promise<void> {
    let audit = "";
    try {
      if (hasAdmin) audit = JSON.stringify(await this.audit());
    } finally {
      await this.instance.dispose();
    }
    assert(!this.log.includes('"stack"'), this.log.slice(this.log.indexOf('"stack"') - 500).slice(0, 3000));
    for (const secret of this.secrets) {
      if (secret.length < 10) continue;
      assert(!this.log.includes(secret), `${secret} is in the log`);
      assert(!audit.includes(secret), `${secret} is in the audit log`);
    }
  }
}

/** What every answer of the registry must be like. */
function checkAnswer(method: string, path: string, { status, headers, bytes, text }: Answer): void {
  const what = `${method} ${path}: ${status} ${text.slice(0, 300)}`;
  assert.notEqual(status, 500, what);
  assert.match(headers.get("X-Request-Id") ?? "", /^[0-9a-f-]{36}$/, what);
  if (status === 401) assert.match(headers.get("WWW-Authenticate") ?? "", /^(Bearer|Basic) realm="/, what);
  if (status === 429) assert.match(headers.get("Retry-After") ?? "", /^\d+$/, what);
  checkByContract(method, path, status, text);
  if (status < 400 || method === "HEAD") return;
  const type = path.startsWith("/api/v1/") ? "application/problem+json" : "application/json";
  assert.equal(headers.get("Content-Type"), type, what);
  assert(bytes.byteLength > 0, what);
  JSON.parse(text);
}

/** Checks that an answer is this error, in the form of the specification; returns its entry. */
export function expectError(answer: Answer, status: number, code: string): ErrorEntry {
  const [error] = answer.json<{ errors: ErrorEntry[] }>().errors;
  assert.deepEqual([answer.status, error?.code], [status, code], answer.text);
  return error as ErrorEntry;
}

/** Checks that an answer of the management API is this problem; returns its detail. */
export function expectProblem(answer: Answer, status: number, code: string): string | undefined {
  const problem = answer.json<Record<string, unknown>>();
  assert.equal(answer.header("Content-Type"), "application/problem+json");
  assert.deepEqual(
    [answer.status, problem.status, problem.code, problem.type],
    [status, status, code, "about:blank"],
    answer.text,
  );
  assert.equal(problem.requestId, answer.header("X-Request-Id"));
  assert.equal(typeof problem.title, "string");
  const { detail } = problem;
  assert(detail === undefined || typeof detail === "string", answer.text);
  return detail;
}

/** What an answer is, apart from what differs from request to request; `names` are replaced too. */
export function essence(answer: Answer, ...names: string[]): unknown {
  const plain = (text: string) => names.reduce((plainer, name) => plainer.replaceAll(name, "NAME"), text);
  const requestId = answer.header("X-Request-Id");
  const headers = [...answer.headers]
    .filter(([name]) => !["x-request-id", "date", "content-length"].includes(name))
    .map(([name, value]) => [name, plain(value)]);
  return { status: answer.status, headers, body: plain(answer.text.replaceAll(requestId, "ID")) };
}

const entry = join(import.meta.dirname, "entry.ts");

/**
 * `hasAdmin`: the audit log can be read at the end. `maxMisses`: how often a minute anonymous callers may ask in vain;
 * `maxAddressFailures`: how many wrong passwords a minute one address may show, instead of what wrangler.toml says.
 */
type ServeOptions = { hasAdmin?: boolean; maxMisses?: number; maxAddressFailures?: number };

/** Starts a registry that ends after the tests of the file. */
export async function serveClosed(
  vars: Variables = {},
  { hasAdmin = true, maxMisses = 300, maxAddressFailures = 100 }: ServeOptions = {},
): Promise<AuthRegistry> {
  const logged: string[] = [];
  const capture = () =>
    new Writable({
      write(chunk, _, done) {
        logged.push(String(chunk));
        done();
      },
    });
  const dataDirectory = makeData();
  const instance = await startInstance({
    entry,
    dataDirectory,
    stdout: capture(),
    stderr: capture(),
    miniflare: {
      ratelimits: {
        LOGIN_FAILURES: { namespace_id: "1", simple: { limit: 10, period: 60 } },
        ADDRESS_LOGIN_FAILURES: {
          namespace_id: "3",
          simple: { limit: maxAddressFailures, period: 60 },
        },
        ANONYMOUS_MISSES: { namespace_id: "2", simple: { limit: maxMisses, period: 60 } },
      },
    },
    vars: {
      ADMIN_PASSWORD: admin.password,
      ADDRESS_HEADER: "CF-Connecting-IP",
      EVENT_QUIET: "0s",
      ...vars,
    },
  });
  const registry = new AuthRegistry(instance, logged);
  after(() => registry.end(hasAdmin));
  after(() => removeData(dataDirectory));
  return registry;
}
