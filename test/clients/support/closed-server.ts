/** The local server with a password, the accounts of its clients, and what it holds. */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import type { TestContext } from "node:test";
import type { Grant } from "../../../src/oci/grant.ts";
import {
  dockerManifestListType,
  dockerManifestType,
  imageIndexType,
  imageManifestType,
} from "../../../src/oci/media-type.ts";
import { temporaryDirectory } from "../../local/program.ts";
import { basic } from "../../support/client.ts";
import { admin } from "../../support/closed-registry.ts";
import { configType, describe, imageManifest } from "../../support/content.ts";
import { type Descriptor, sha256 } from "./oci-layout.ts";
import { freePort, type Server, startServer } from "./server.ts";

const acceptAll = [imageManifestType, imageIndexType, dockerManifestType, dockerManifestListType].join();

/** What a client logs in with. */
export interface Credential {
  name: string;
  password: string;
}

/** A server that lets nobody in without a credential. */
export interface ClosedServer extends Server {
  /** Makes an account with a password. */
  account(name: string, grants: Grant[]): Promise<Credential>;
  /** Makes an account that has no password, and a generated token of it, as machines use. */
  robot(name: string, grants: Grant[]): Promise<Credential>;
  /** Pushes a small image as the administrator. */
  seed(repository: string, tag: string): Promise<void>;
  /** Replaces the policies. */
  putPolicies(document: object): Promise<void>;
  /** Reads from the management API, by a path below `/api/v1/`. */
  api<T>(path: string): Promise<T>;
  /** A manifest as it is stored. */
  manifest(repository: string, reference: string): Promise<string>;
  /**
   * Everything that a reference leads to: the digests of manifests and blobs, each computed from its bytes. Those of
   * `except` are taken as they are, unread.
   */
  contents(repository: string, reference: string, except?: readonly string[]): Promise<string[]>;
}

/** A manifest or an index. */
interface Manifest {
  config?: Descriptor;
  layers?: Descriptor[];
  manifests?: Descriptor[];
}

/** Requests of the administrator. */
class Administrator {
  readonly #url: string;

  constructor(url: string) {
    this.#url = url;
  }

  async request(
    status: number,
    method: string,
    path: string,
    body?: BodyInit,
    type?: string,
  ): Promise<Response> {
    const headers = { Accept: acceptAll, Authorization: basic(admin.name, admin.password) };
    const response = await fetch(new URL(path, this.#url), {
      method,
      headers: type === undefined ? headers : { ...headers, "Content-Type": type },
      ...(body === undefined ? {} : { body }),
    });
    if (response.status === status) return response;
    assert.fail(`${method} ${path}: ${response.status} ${await response.text()}`);
  }

  async json(status: number, method: string, path: string, body: object): Promise<Record<string, string>> {
    const response = await this.request(status, method, path, JSON.stringify(body), "application/json");
    return response.json();
  }

  async seed(repository: string, tag: string): Promise<void> {
    const config = Buffer.from(JSON.stringify({ architecture: "amd64", os: "linux", repository, tag }));
    const digest = sha256(config);
    const upload = `/v2/${repository}/blobs/uploads/?digest=${digest}`;
    await this.request(201, "POST", upload, config, "application/octet-stream");
    const manifest = imageManifest(describe(config, configType), []);
    await this.request(201, "PUT", `/v2/${repository}/manifests/${tag}`, manifest, imageManifestType);
  }

  async manifest(repository: string, reference: string): Promise<string> {
    return await (await this.request(200, "GET", `/v2/${repository}/manifests/${reference}`)).text();
  }

  async contents(repository: string, reference: string, except: readonly string[]): Promise<string[]> {
    const found = new Set<string>();
    const readManifest = async (wanted: string) => {
      const text = await this.manifest(repository, wanted);
      found.add(sha256(text));
      const { config, layers = [], manifests = [] }: Manifest = JSON.parse(text);
      for (const { digest } of manifests) await readManifest(digest);
      for (const { digest } of config === undefined ? layers : [config, ...layers]) await readBlob(digest);
    };
    const readBlob = async (digest: string) => {
      if (found.has(digest)) return;
      if (except.includes(digest)) {
        found.add(digest);
        return;
      }
      const response = await this.request(200, "GET", `/v2/${repository}/blobs/${digest}`);
      const hash = createHash("sha256");
      for await (const piece of response.body ?? []) hash.update(piece);
      found.add(`sha256:${hash.digest("hex")}`);
    };
    await readManifest(reference);
    return [...found].sort();
  }
}

/**
 * Starts a server on which authentication is on.
 *
 * @param vars variables of the Worker
 */
export async function startClosedServer(
  t: TestContext,
  vars: Record<string, string> = {},
): Promise<ClosedServer> {
  const data = temporaryDirectory(t);
  const options = { data, port: await freePort(), vars, adminPassword: admin.password };
  const server = await startServer(t, options);
  const administrator = new Administrator(server.url);
  const account = (name: string, json: object) =>
    administrator.json(201, "PUT", `/api/v1/accounts/${name}`, json);
  return {
    ...server,
    account: async (name, grants) => {
      const password = `password of ${name}: ${crypto.randomUUID()}`;
      await account(name, { password, grants });
      return { name, password };
    },
    robot: async (name, grants) => {
      await account(name, { grants });
      const path = `/api/v1/accounts/${name}/tokens`;
      const { secret } = await administrator.json(201, "POST", path, { description: "made by a test" });
      assert(secret !== undefined);
      return { name, password: secret };
    },
    seed: (repository, tag) => administrator.seed(repository, tag),
    putPolicies: async (document) => {
      await administrator.json(200, "PUT", "/api/v1/policies", document);
    },
    api: async (path) => (await administrator.request(200, "GET", `/api/v1/${path}`)).json(),
    manifest: (repository, reference) => administrator.manifest(repository, reference),
    contents: (repository, reference, except = []) => administrator.contents(repository, reference, except),
  };
}
