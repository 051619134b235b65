/** A registry of its own for a test file: the built Worker in Miniflare, with a data directory of its own. */
import assert from "node:assert/strict";
import { Writable } from "node:stream";
import { after } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { bucketUnderTest, temporaryData } from "./bucket-under-test.ts";
import { Client, deadlineMs } from "./client.ts";
import { type Instance, type InstanceOptions, startInstance } from "./miniflare/instance.ts";
import { type Stored, storedIn } from "./stored.ts";

type ObjectClass = "Repository" | "Upload" | "Blobs" | "Catalog" | "Webhooks" | "WebhookQueue";

/** A running registry, and a client of it. */
export class TestRegistry extends Client {
  readonly instance: Instance;
  readonly #errors: string[];
  readonly stored: Stored;
  #bucket: ReturnType<Instance["miniflare"]["getR2Bucket"]> | undefined;
  #kv: ReturnType<Instance["miniflare"]["getKVNamespace"]> | undefined;
  #hasEnded = false;

  constructor(instance: Instance, errors: string[], stored: Stored) {
    super(instance.url);
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

  /** The keys of all rows of the replica, in order. */
  async replicaKeys(): Promise<string[]> {
    const { keys, list_complete: isComplete } = await (await this.kv()).list();
    assert(isComplete);
    return keys.map((key) => key.name);
  }

  /** Drops the memory of an object, as the platform does at will. */
  evict(className: ObjectClass, name: string): Promise<void> {
    return this.instance.miniflare.unsafeEvictDurableObject("stowage", className, { name });
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
  const { bucket = bucketUnderTest.kind } = options;
  const { dataDirectory = temporaryData() } = options;
  const vars = { LOG_FORMAT: "none", ...options.vars };
  const instance = await startInstance({ stderr, ...options, bucket, dataDirectory, vars });
  const registry = new TestRegistry(instance, errors, storedIn(dataDirectory, bucket));
  after(() => registry.end());
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
