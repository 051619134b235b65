/** A registry of its own for a test file: the built Worker in Miniflare, with a data directory of its own. */
import assert from "node:assert/strict";
import { Writable } from "node:stream";
import { after } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import type { Machine } from "../../src/machine.ts";
import { parseDigest } from "../../src/oci/digest.ts";
import { shardOf, uploadObjectOf } from "../../src/rpc/stubs.ts";
import { bucketUnderTest } from "./bucket-under-test.ts";
import { Client, deadlineMs } from "./client.ts";
import { type Instance, type InstanceOptions, startInstance } from "./miniflare/instance.ts";
import { type Stored, storedIn } from "./stored.ts";
import { makeData, removeData } from "./temporary.ts";

type ObjectClass = "Repository" | "Upload" | "Blobs" | "Catalog" | "Webhooks" | "WebhookQueue";

/** A running registry, and a client of it. */
export class TestRegistry extends Client {
  readonly instance: Instance;
  readonly #errors: string[];
  readonly stored: Stored;
  /** As the Worker has it: what says which object is asked about a digest or a session. */
  readonly #division: { MACHINE?: string };
  #bucket: ReturnType<Instance["miniflare"]["getR2Bucket"]> | undefined;
  #kv: ReturnType<Instance["miniflare"]["getKVNamespace"]> | undefined;
  #hasEnded = false;

  constructor(instance: Instance, errors: string[], stored: Stored, machine: Machine | undefined) {
    super(instance.url);
    this.#division = machine === undefined ? {} : { MACHINE: JSON.stringify(machine) };
    this.instance = instance;
    this.stored = stored;
    this.#errors = errors;
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

  /** Ends the registry. What it logged as a failure of its own fails the tests. */
  async end(): Promise<void> {
    if (this.#hasEnded) return;
    this.#hasEnded = true;
    await this.instance.dispose();
    const failures = this.#errors.join("").split("\n").filter(isFailure);
    assert.deepEqual(failures, []);
  }
}

/** A line with a stack is an exception that became a 500. */
function isFailure(line: string): boolean {
  return line.startsWith("{") && JSON.parse(line).stack !== undefined;
}

/** Starts a registry that ends after the tests of the file. */
export async function serve(options: InstanceOptions = {}): Promise<TestRegistry> {
  const errors: string[] = [];
  const stderr = new Writable({
    write(chunk, _, done) {
      errors.push(String(chunk));
      done();
    },
  });
  const { bucket = bucketUnderTest.kind, machine = bucketUnderTest.machine } = options;
  const { dataDirectory = makeData() } = options;
  const vars = { LOG_FORMAT: "none", ...options.vars };
  const instance = await startInstance({ stderr, ...options, bucket, machine, dataDirectory, vars });
  const registry = new TestRegistry(instance, errors, storedIn(dataDirectory, bucket), machine);
  after(() => registry.end());
  if (options.dataDirectory === undefined) after(() => removeData(dataDirectory));
  // Beside a test that failed, what the registry said of its own work.
  process.once("exit", (code) => {
    if (code !== 0) process.stderr.write(errors.join(""));
  });
  return registry;
}

/** Polls until the condition holds; fails when that takes too long. */
export async function until(what: string, condition: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = performance.now() + deadlineMs;
  while (!(await condition())) {
    assert(performance.now() < deadline, `waited too long for ${what}`);
    await delay(10);
  }
}
