/** A registry of its own for a test file: the built Worker in Miniflare, with its data in memory unless its bucket is on disk. */
import assert from "node:assert/strict";
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { Writable } from "node:stream";
import { after } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { filesDirectory } from "../../src/local/bucket-kind.ts";
import { type Instance, type InstanceOptions, startInstance } from "../../src/local/instance.ts";
import { bucketUnderTest, temporaryData } from "./bucket-under-test.ts";
import { Client, deadlineMs } from "./client.ts";

type ObjectClass = "Repository" | "Upload" | "Blobs" | "Catalog" | "Webhooks" | "WebhookQueue";

/** A running registry, and a client of it. */
export class TestRegistry extends Client {
  readonly instance: Instance;
  readonly #errors: string[];
  readonly #files: string | undefined;
  #hasEnded = false;

  /** `files`: the folder of its bucket, if that is on disk. */
  constructor(instance: Instance, errors: string[], files?: string) {
    super(instance.url);
    this.instance = instance;
    this.#errors = errors;
    this.#files = files;
  }

  bucket() {
    return this.instance.miniflare.getR2Bucket("BLOBS");
  }

  kv() {
    return this.instance.miniflare.getKVNamespace("MANIFESTS");
  }

  /** The keys of all blobs in the bucket, in order. */
  async blobKeys(): Promise<string[]> {
    if (this.#files !== undefined) return this.#folders(({ length }) => length > 0);
    const { objects, truncated } = await (await this.bucket()).list();
    assert(!truncated);
    return objects.map((object) => object.key);
  }

  /** How many multipart uploads a bucket on disk has open. */
  openMultiparts(): number {
    return this.#folders((names) => !names.includes("whole") && !names.includes("index")).length;
  }

  #folders(isAmong: (names: string[]) => boolean): string[] {
    const blobs = join(this.#files ?? "", "blobs");
    if (!existsSync(blobs)) return [];
    const folders = readdirSync(blobs).sort();
    return folders.filter((name) => isAmong(readdirSync(join(blobs, name)))).map((name) => `blobs/${name}`);
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
  const dataDirectory = options.dataDirectory ?? (bucket === "disk" ? temporaryData() : undefined);
  const vars = { LOG_FORMAT: "none", ...options.vars };
  const instance = await startInstance({ stderr, ...options, bucket, dataDirectory, vars });
  const files = bucket === "disk" ? filesDirectory(dataDirectory ?? "") : undefined;
  const registry = new TestRegistry(instance, errors, files);
  after(() => registry.end());
  return registry;
}

/** Polls until the condition holds; fails when that takes too long. */
export async function until(what: string, condition: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = Date.now() + deadlineMs;
  while (!(await condition())) {
    assert(Date.now() < deadline, `waited too long for ${what}`);
    await delay(10);
  }
}
