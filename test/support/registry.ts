/** A registry of its own for a test file: the built Worker in Miniflare, with a data directory of its own. */
import assert from "node:assert/strict";
import { Writable } from "node:stream";
import { setTimeout as delay } from "node:timers/promises";
import type { Machine } from "../../src/machine.ts";
import { parseDigest } from "../../src/oci/reference.ts";
import { shardOf, uploadObjectOf } from "../../src/rpc/stubs.ts";
import { bucketUnderTest } from "./bucket-under-test.ts";
import { Client, deadlineMs } from "./client.ts";
import { after } from "./ends-of-files.ts";
import { type Instance, type InstanceOptions, startInstance } from "./miniflare/instance.ts";
import { type Stored, storedIn } from "./stored.ts";
import { temporaryData } from "./temporary.ts";

type ObjectClass = "Repository" | "Upload" | "Blobs" | "Catalog" | "NameIndex" | "Webhooks" | "WebhookQueue";

/** What a registry has said so far. */
type Output = { stdout: string[]; stderr: string[] };

/** A registry that was started. */
export type Started = {
  instance: Instance;
  output: Output;
  stored: Stored;
  machine: Machine | undefined;
};

/** A running registry, and a client of it that is nobody. */
export class TestRegistry extends Client {
  readonly instance: Instance;
  readonly #output: Output;
  readonly stored: Stored;
  /** As the Worker has it: what says which object is asked about a digest or a session. */
  readonly #division: { MACHINE?: string };
  #bucket: ReturnType<Instance["miniflare"]["getR2Bucket"]> | undefined;
  #kv: ReturnType<Instance["miniflare"]["getKVNamespace"]> | undefined;
  #hasEnded = false;

  constructor({ instance, output, stored, machine }: Started) {
    super(instance.url);
    this.#division = machine === undefined ? {} : { MACHINE: JSON.stringify(machine) };
    this.instance = instance;
    this.stored = stored;
    this.#output = output;
  }

  /** What it has logged so far. */
  get log(): string {
    return [...this.#output.stdout, ...this.#output.stderr].join("");
  }

  /** The bucket; asked for once, as each one asks the runtime what it can do. */
  bucket() {
    this.#bucket ??= this.instance.miniflare.getR2Bucket("BLOBS");
    return this.#bucket;
  }

  /** The replica's namespace. */
  kv() {
    this.#kv ??= this.instance.miniflare.getKVNamespace("MANIFESTS");
    return this.#kv;
  }

  /** Whether it has KV, as on the platform. */
  get hasReplica(): boolean {
    return this.#division.MACHINE === undefined;
  }

  /** The keys of all rows of the replica, in order; none where there is no replica. */
  async replicaKeys(): Promise<string[]> {
    if (!this.hasReplica) return [];
    const { keys, list_complete: isComplete } = await (await this.kv()).list();
    assert(isComplete);
    return keys.map((key) => key.name);
  }

  /** Drops the memory of an object, as the platform does at will; that of an upload is named by its session. */
  evict(className: ObjectClass, name: string): Promise<void> {
    const object = className === "Upload" ? this.uploadObject(name) : name;
    return this.instance.miniflare.unsafeEvictDurableObject("stowage", className, { name: object });
  }

  /** The name of the object that keeps an upload session. */
  uploadObject(session: string): string {
    return uploadObjectOf(this.#division, session);
  }

  /** The name of the shard of a digest. */
  shardOf(text: string): string {
    const digest = parseDigest(text);
    assert(digest !== undefined);
    return shardOf(this.#division, digest);
  }

  /** Ends the registry. What it logged as a failure of its own, and a secret in what it logged, fail the tests. */
  async end(): Promise<void> {
    if (this.#hasEnded) return;
    this.#hasEnded = true;
    await this.instance.dispose();
    assert.deepEqual(this.log.split("\n").filter(isFailure), []);
    this.assertNoSecret("the log", this.log);
  }

  /** Checks that nothing that was shown to the registry, or came from it, is in a text. */
  protected assertNoSecret(where: string, text: string): void {
    for (const secret of this.secrets) {
      if (secret.length >= 10) assert(!text.includes(secret), `${secret} is in ${where}`);
    }
  }
}

/** Of all registries of this process. */
const outputs: Output[] = [];

// Beside a test that failed, what the registries said of their own work.
process.once("exit", (code) => {
  if (code !== 0) process.stderr.write(outputs.flatMap(({ stderr }) => stderr).join(""));
});

/** A line with a stack is an exception that became a 500. */
function isFailure(line: string): boolean {
  return line.startsWith("{") && JSON.parse(line).stack !== undefined;
}

function keepIn(lines: string[]): Writable {
  return new Writable({
    write(chunk, _, done) {
      lines.push(String(chunk));
      done();
    },
  });
}

/** Starts a registry, as on the platform unless told, that ends after the tests of the file. */
export async function startRegistryAs<R extends TestRegistry>(
  make: (started: Started) => R,
  options: InstanceOptions,
): Promise<R> {
  const output: Output = { stdout: [], stderr: [] };
  const { bucket = "r2", machine, dataDirectory = temporaryData() } = options;
  const instance = await startInstance({
    stdout: keepIn(output.stdout),
    stderr: keepIn(output.stderr),
    ...options,
    dataDirectory,
  });
  const registry = make({ instance, output, stored: storedIn(dataDirectory, bucket), machine });
  after(() => registry.end());
  outputs.push(output);
  return registry;
}

/**
 * Starts a registry that ends after the tests of the file. Unless told otherwise it is open to everybody, and has the
 * bucket that is under test.
 */
export function startRegistry(options: InstanceOptions = {}): Promise<TestRegistry> {
  const { kind: bucket, machine } = bucketUnderTest;
  const vars = { LOG_FORMAT: "none", ...options.vars };
  return startRegistryAs((started) => new TestRegistry(started), { bucket, machine, ...options, vars });
}

/** Polls until the condition holds; fails when that takes too long. */
export async function until(what: string, condition: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = performance.now() + deadlineMs;
  while (!(await condition())) {
    assert(performance.now() < deadline, `waited too long for ${what}`);
    await delay(10);
  }
}
