/** A registry on a volume of 64 MB that is filled: by pushes, and by somebody else. */
import assert from "node:assert/strict";
import { request as httpRequest } from "node:http";
import { join } from "node:path";
import test, { type TestContext } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { prepareLayout } from "../../src/local/data-layout.ts";
import { isAlive, signal } from "../../src/local/processes.ts";
import type { Answer } from "../support/answer.ts";
import { Client, type PushedImage } from "../support/client.ts";
import {
  configType,
  content,
  describe,
  digestOf,
  imageManifest,
  layerType,
  mebibyte,
  streamOf,
} from "../support/content.ts";
import { parseMetrics, seriesValue } from "../support/scrape.ts";
import { startSink } from "../support/sink.ts";
import { storedIn } from "../support/stored.ts";
import { gcNow } from "../support/upkeep.ts";
import { type Program, ready, recordedWorkerd, runtimes, startProgram, until } from "./program.ts";
import { mayMount, SmallVolume } from "./small-volume.ts";

const main = join(import.meta.dirname, "..", "..", "src", "local", "main.ts");
const repository = "team/app";

/** What was pushed under a tag, and acknowledged. */
type Pushed = Map<string, PushedImage>;

/** A registry on a small volume. */
class FullRegistry {
  readonly volume: SmallVolume;
  readonly data: string;
  readonly pushed: Pushed = new Map();
  client = new Client("");
  program: Program | undefined;
  readonly #t: TestContext;
  #tags = 0;

  constructor(t: TestContext) {
    this.#t = t;
    this.volume = new SmallVolume(t, 64);
    this.data = join(this.volume.path, "data");
  }

  async start(): Promise<void> {
    const command = [...runtimes.node, main, "--port", "0", "--data", this.data, "--log", "json"];
    // Leases of a second, so that the test has to wait for no more.
    this.program = startProgram(
      this.#t,
      [...command, "--var", "LEASE_TTL=1s", "--var", "WEBHOOK_ALLOW_PRIVATE=yes"],
      { data: this.data },
    );
    this.client = new Client(await ready(this.program));
  }

  /** Has all databases made that there will be, so that they are not made when the volume is full. */
  async warmUp(): Promise<void> {
    await this.start();
    await this.client.must(200, "POST", "/api/v1/gc", { timeoutMs: 60_000 });
  }

  /** Starts with so many images on a volume that somebody else fills, until the reserve file is deleted. */
  async startFilledByOthers(images: number): Promise<void> {
    await this.warmUp();
    for (let count = 0; count < images; count++) assert.equal(await this.push(mebibyte), undefined);
    this.volume.fillUp();
    await until("what is kept for this to be given up", () => this.volume.freeBytes() > mebibyte);
  }

  /** Ends the whole server as a power cut does, and starts it again. */
  async killAndRestart(): Promise<void> {
    const workerd = recordedWorkerd(this.data);
    signal(this.program?.pid ?? 0, "SIGKILL");
    await until("the server's end", () => this.program?.hasEnded && !isAlive(workerd ?? 0));
    await this.start();
  }

  /** Ends workerd alone; the server starts it again. */
  async killWorkerd(): Promise<void> {
    const workerd = recordedWorkerd(this.data) ?? 0;
    signal(workerd, "SIGKILL");
    await until("another workerd", async () => {
      if (recordedWorkerd(this.data) === workerd) return false;
      return this.client.get("/healthz").then(
        ({ status }) => status === 200,
        () => false,
      );
    });
  }

  /** Pushes an image; returns the answer that refused a part of it, if one did. */
  async push(sizeBytes: number): Promise<Answer | undefined> {
    const tag = `v${this.#tags++}`;
    const [config, layer] = [content(), content(sizeBytes)];
    for (const bytes of [config, layer]) {
      const path = `/v2/${repository}/blobs/uploads/?digest=${digestOf(bytes)}`;
      const answer = await this.client.send("POST", path, { body: bytes });
      if (answer.status !== 201) return answer;
    }
    const manifest = imageManifest(describe(config, configType), [describe(layer, layerType)]);
    const answer = await this.client.putManifest(repository, tag, manifest);
    if (answer.status !== 201) return answer;
    const image = {
      digest: digestOf(manifest),
      manifest,
      config: digestOf(config),
      layers: [digestOf(layer)],
    };
    this.pushed.set(tag, image);
    return undefined;
  }

  /** Pushes until there is no room: several at once, which race for the last bytes. */
  async fill(): Promise<void> {
    const refused = await Promise.all(
      Array.from({ length: 4 }, async (_, index) => {
        for (;;) {
          const answer = await this.push((1 + index / 2) * mebibyte);
          if (answer !== undefined) return answer;
        }
      }),
    );
    for (const answer of refused) mustSayThatItIsFull(answer);
  }

  /** Deletes images by their manifests, and lets their bytes go. */
  async makeRoom(count: number): Promise<void> {
    const before = this.volume.freeBytes();
    let expected = 0;
    for (const [tag, image] of [...this.pushed].slice(0, count)) {
      await this.client.must(202, "DELETE", `/v2/${repository}/manifests/${image.digest}`);
      this.pushed.delete(tag);
      expected += mebibyte;
    }
    // Leases of what was pushed a moment ago run. Each try is written to the audit log, on the same volume.
    await until("the bytes to go", async () => {
      await delay(500);
      await gcNow(this.client);
      // Databases grow meanwhile, by what deletes write.
      return this.volume.freeBytes() >= before + expected / 2;
    });
  }

  async pullEverything(): Promise<void> {
    for (const [tag, image] of this.pushed) await this.client.pullImage(repository, tag, image);
  }
}

function mustSayThatItIsFull(answer: Answer): void {
  assert.equal(answer.status, 507, answer.text);
  const [error] = answer.json<{ errors: { code: string; message: string }[] }>().errors;
  assert.equal(error?.code, "UNAVAILABLE");
  assert.match(error.message, /no space left.*stowage gc --now/);
}

if (mayMount(import.meta.filename)) {
  test("what was acknowledged is there after a disk was full three times, killed or not", async (t) => {
    const registry = new FullRegistry(t);
    await registry.warmUp();
    const whileFull = [async () => {}, () => registry.killWorkerd(), () => registry.killAndRestart()];
    for (const happen of whileFull) {
      await registry.fill();
      assert(registry.volume.freeBytes() > 2 * mebibyte, "the reserve is left");
      mustSayThatItIsFull(
        await registry.client.send("POST", `/v2/${repository}/blobs/uploads/?digest=${digestOf(content())}`, {
          body: content(8 * mebibyte),
        }),
      );
      await happen();
      await registry.pullEverything();
      await registry.client.must(200, "GET", "/api/v1/usage");
      await registry.client.must(200, "GET", `/v2/${repository}/tags/list`);
      const size = registry.pushed.size;
      await registry.makeRoom(Math.ceil(size / 2));
      assert.equal(await registry.push(mebibyte), undefined);
    }
    await registry.killAndRestart();
    assert(registry.pushed.size > 5);
    await registry.pullEverything();
  });

  test("that the disk is low is said: to those who ask, in the log, and once to webhooks", async (t) => {
    const listener = await startSink();
    const registry = new FullRegistry(t);
    await registry.start();
    const { client } = registry;
    const storage = async () =>
      (await client.must(200, "GET", "/readyz")).json<{ storage: string }>().storage;
    const body = JSON.stringify({ url: listener.url, events: ["storage.low"], format: "cloudevents" });
    await client.must(201, "POST", "/api/v1/webhooks", { body });
    assert.equal(await storage(), "ok");
    await registry.fill();
    assert.equal(await storage(), "low");
    await until("the event", () => listener.received.length > 0);
    const { type, data } = JSON.parse(listener.received[0]?.body ?? "");
    assert.equal(type, "stowage.storage.low");
    const scraped = parseMetrics((await client.must(200, "GET", "/metrics")).text);
    const [free, size, reserve, stored] = ["disk_free", "disk_size", "disk_reserve", "stored"].map((name) =>
      seriesValue(scraped, `stowage_${name}_bytes`),
    );
    assert.deepEqual([size, reserve], [64 * mebibyte, Math.floor(6.4 * mebibyte)]);
    assert.deepEqual([data.disk.totalBytes, data.disk.reserveBytes], [size, reserve]);
    assert(free !== undefined && free > 0 && free < 1.25 * Number(reserve));
    assert(stored !== undefined && stored > 30 * mebibyte && stored < 64 * mebibyte);
    await registry.makeRoom(registry.pushed.size - 1);
    await until("the disk to have room", async () => (await storage()) === "ok");
    const told = () => registry.program?.stderr.match(/(?<="event":"storage )\w+/g) ?? [];
    await until("the line that says so", () => told().at(-1) === "ok");
    // What a refused push gives back may be so much that the disk is not low for a moment.
    const lows = told().length / 2;
    assert.deepEqual(told(), Array.from({ length: lows }, () => ["low", "ok"]).flat());
    await until("an event of each", () => listener.received.length >= lows);
    assert.equal(listener.received.length, lows);
  });

  test("a body of unknown length that does not fit leaves nothing behind", async (t) => {
    const registry = new FullRegistry(t);
    await registry.warmUp();
    const before = registry.volume.freeBytes();
    const location = await registry.client.openUpload(repository);
    const pieces = Array.from({ length: 80 }, () => content(mebibyte));
    mustSayThatItIsFull(await registry.client.send("PATCH", location, { body: streamOf(...pieces) }));
    assert.equal(storedIn(registry.data, "disk").bytes(), 0);
    // Databases do not shrink.
    assert(registry.volume.freeBytes() > before - 4 * mebibyte);
    assert.equal((await registry.client.send("GET", location)).status, 404);
    assert.equal(await registry.push(mebibyte), undefined);
  });

  test("what a killed server had received of a blob goes with the next collection that does not wait", async (t) => {
    const registry = new FullRegistry(t);
    await registry.start();
    assert.equal(await registry.push(mebibyte), undefined);
    const stored = storedIn(registry.data, "disk");
    const before = stored.bytes();
    const path = `/v2/${repository}/blobs/uploads/?digest=${digestOf(content())}`;
    const headers = { "Content-Length": 40 * mebibyte };
    const push = httpRequest(registry.client.url + path, { method: "POST", headers });
    push.on("error", () => {});
    push.write(content(20 * mebibyte));
    await until("its bytes to come", () => stored.bytes() > before + 10 * mebibyte);
    await registry.killAndRestart();
    assert(stored.bytes() > before + 10 * mebibyte);
    await gcNow(registry.client);
    assert.equal(stored.bytes(), before);
    await registry.pullEverything();
  });

  test("a volume that somebody else has filled is served, and takes pushes again once that is gone", async (t) => {
    const registry = new FullRegistry(t);
    await registry.startFilledByOthers(10);
    const refused = await registry.push(mebibyte);
    assert(refused !== undefined);
    mustSayThatItIsFull(refused);
    await registry.pullEverything();
    await registry.killAndRestart();
    await registry.pullEverything();
    await registry.makeRoom(5);
    registry.volume.giveBack();
    assert.equal(await registry.push(mebibyte), undefined);
    await registry.pullEverything();
  });

  test("a server starts where not one byte is free, and goes on once there is room", async (t) => {
    const registry = new FullRegistry(t);
    await registry.startFilledByOthers(3);
    registry.volume.fillUp();
    assert.equal(registry.volume.freeBytes(), 0);
    await registry.killAndRestart();
    await registry.client.must(200, "GET", "/healthz");
    registry.volume.giveBack();
    await registry.pullEverything();
    assert.equal(await registry.push(mebibyte), undefined);
  });

  test("a first start that found no room is made up for by the next one", (t) => {
    const volume = new SmallVolume(t, 1);
    volume.fillUp();
    assert.throws(() => prepareLayout(volume.path), { code: "ENOSPC" });
    volume.giveBack();
    assert.equal(prepareLayout(volume.path).machine.blobShards, 1);
    assert.equal(prepareLayout(volume.path).machine.blobShards, 1);
  });
}
