/**
 * The matrix of clients and what they do with the registry.
 *
 * Each client has a test file, a server with authentication on, and an account of its own that may do everything in
 * the repositories below its name and nothing elsewhere. What passed is recorded; docs/clients.md is made of that.
 */
import assert from "node:assert/strict";
import { mkdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { afterTest } from "../../support/ends.ts";
import { type ClosedServer, type Credential, startClosedServer } from "./closed-server.ts";
import { type Layout, writeImage } from "./oci-layout.ts";
import { hasPrograms, type Output, run } from "./programs.ts";
import { type Operation, operations, recordResult } from "./results.ts";

/** Where the accounts of clients may do nothing. */
const foreignRepository = "foreign/image";

const megabyte = 1024 * 1024;
const largeLayerMegabytes = Number(process.env.STOWAGE_TEST_LAYER_MB ?? 300);

/** Size of the one large layer; STOWAGE_TEST_LAYER_MB makes it smaller for a quick run. */
export const largeLayerBytes = largeLayerMegabytes * megabyte;

/** What the table calls the trial with it. */
export const largeLayer = `a layer of ${largeLayerMegabytes} MB`;

/** What a program says when the registry refuses it. */
const refusal = /denied|unauthori[sz]ed|authentication required|invalid username|\b401\b|\b403\b/i;

/** A client, and what is to be known of it. */
export interface Client {
  name: string;
  /** What it needs: names on the PATH, and `root` for being root. */
  programs: readonly string[];
  /** The command that prints its version. */
  version: readonly [string, ...string[]];
  /** Whether it logs in with an account's password, or with a generated token of an account without one. */
  credential: "password" | "token";
  /** What it has no command for, and why. Every operation is either here or tried. */
  lacks: Partial<Record<Operation, string>>;
  /** What it does that one does not expect, and which behaviour of the registry makes it work. */
  surprises: readonly string[];
}

/** A client at work. */
export class ClientRun {
  readonly server: ClosedServer;
  readonly as: Credential;
  /** A folder for its files, without spaces or capital letters in the path. */
  readonly directory: string;
  /** Where it may do nothing: an image that exists, by its tag. */
  readonly foreign: string;
  readonly #t: TestContext;
  readonly #client: Client;
  readonly #version: string;
  readonly #tried = new Set<string>();
  readonly #passed = new Set<string>();

  constructor(
    t: TestContext,
    client: Client,
    {
      server,
      as,
      version,
      directory,
    }: { server: ClosedServer; as: Credential; version: string; directory: string },
  ) {
    this.#t = t;
    this.#client = client;
    this.#version = version;
    this.server = server;
    this.as = as;
    this.directory = directory;
    this.foreign = `${server.host}/${foreignRepository}:v1`;
  }

  /** The name of a repository of the client, as a path below `/v2/`. */
  repository(name: string): string {
    return `${this.#client.name}/${name}`;
  }

  /** The same as clients write it, with the registry's address. */
  image(name: string): string {
    return `${this.server.host}/${this.repository(name)}`;
  }

  /** Tries one of the operations that every client is asked for. */
  async can(operation: Operation, body: () => Promise<void>): Promise<void> {
    await this.#step(operation, body);
  }

  /** Tries something that only this client, or few, can do. */
  async also(what: string, body: () => Promise<void>): Promise<void> {
    assert(!(operations as readonly string[]).includes(what), `${what} is an operation of every client`);
    await this.#step(what, body);
  }

  /** Tries to push an image with one large layer, and to pull it again. */
  async large(body: (layout: Layout) => Promise<void>): Promise<void> {
    await this.#step(largeLayer, async () => {
      await body(await writeImage(join(this.directory, "large"), "large", [largeLayerBytes]));
    });
  }

  /** Tries what the registry must refuse, saying so. */
  async isRefused(operation: Operation, ...attempts: (() => Promise<Output>)[]): Promise<void> {
    await this.#step(operation, async () => {
      for (const attempt of attempts) await assert.rejects(attempt, refusal);
    });
  }

  /**
   * Ends the run: every operation was tried or is known to be lacking, the client asked for bearer tokens, and the
   * server had no failure. Only then is anything recorded.
   */
  async finish(): Promise<void> {
    const { name, lacks, surprises } = this.#client;
    // Nobody but the client asks for tokens here: the administrator's requests are made with Basic.
    const tokens = this.server.requests().filter(({ route, status }) => route === "token" && status === 200);
    assert.notEqual(tokens.length, 0, "it followed the challenge");
    await this.server.stop();
    if (this.#passed.size < this.#tried.size) return;
    for (const operation of operations) {
      const isTried = this.#passed.has(operation);
      assert.notEqual(isTried, operation in lacks, `${operation} is either tried or lacking`);
    }
    const passed = [...this.#passed];
    await recordResult({ client: name, version: this.#version, passed, lacks, surprises });
  }

  async #step(what: string, body: () => Promise<void>): Promise<void> {
    this.#tried.add(what);
    await this.#t.test(what, async () => {
      await body();
      this.#passed.add(what);
    });
  }
}

/** Starts a server and makes the client's account; `undefined` where the client is not installed. */
export async function startClient(t: TestContext, client: Client): Promise<ClientRun | undefined> {
  if (!hasPrograms(t, ...client.programs)) return undefined;
  const [program, ...args] = client.version;
  const { stdout } = await run(program, args);
  const version = /\d+\.\d+(\.\d+)?/.exec(stdout)?.[0];
  assert(version !== undefined, `${client.version.join(" ")}: ${stdout}`);
  const server = await startClosedServer(t);
  const grants = [
    { repository: `${client.name}/**`, verbs: ["pull" as const, "push" as const, "delete" as const] },
  ];
  const as =
    client.credential === "password"
      ? await server.account(client.name, grants)
      : await server.robot(client.name, grants);
  await server.seed(foreignRepository, "v1");
  // Some clients make the folder's path a part of an image's name, which knows no spaces and no capital letters.
  const directory = join(tmpdir(), `stowage-${client.name}-${process.pid}`);
  await mkdir(directory);
  afterTest(t, () => rm(directory, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 }));
  return new ClientRun(t, client, { server, as, version, directory });
}
