import assert from "node:assert/strict";
import test from "node:test";
import { imageIndexType, imageManifestType } from "../../src/oci/media-type.ts";
import type { Answer } from "../support/answer.ts";
import { Client, type RequestOptions } from "../support/client.ts";
import {
  configType,
  content,
  describe,
  digestOf,
  imageIndex,
  imageManifest,
  layerType,
} from "../support/content.ts";
import { hourMs, startTimedRegistry } from "../support/timed-registry.ts";
import { uploadWays, type Way } from "../support/upload-ways.ts";

const { registry, advance, collect } = await startTimedRegistry({ vars: { GC_GRACE: "1h" } });

/** A client that is slow: between two of its requests some time passes, and all that is due is collected. */
class SlowClient extends Client {
  readonly #betweenRequests: () => Promise<void>;

  constructor(betweenRequests: () => Promise<void>) {
    super(registry.url);
    this.#betweenRequests = betweenRequests;
  }

  override async send(method: string, path: string, options?: RequestOptions): Promise<Answer> {
    const answer = await super.send(method, path, options);
    await this.#betweenRequests();
    return answer;
  }
}

/** How old what is pushed again has become since nothing references it: around the grace, and the times of bytes. */
const ages: [name: string, milliseconds: number][] = [
  ["nothing yet", 0],
  ["just now", 0],
  ["half the grace", 0.5 * hourMs],
  ["most of the grace", 0.75 * hourMs],
  ["the grace", hourMs],
  ["so long that its bytes go", 2 * hourMs],
  ["so long that its tombstones go", 26 * hourMs],
];

test("no push fails, whatever is collected between its steps", async () => {
  const layers = [content(), content(), content()];
  const digests = layers.map((bytes) => digestOf(bytes));
  const config = content();
  const client = new SlowClient(async () => {
    await advance(500);
    await collect(["pushed", "mounted"], [...digests, digestOf(config)]);
  });
  const mount: Way = async (repository, bytes, digest) => {
    await registry.pushBlob("mounted", bytes);
    const query = `?mount=${digest}&from=mounted`;
    const mounted = await client.must(201, "POST", `/v2/${repository}/blobs/uploads/${query}`);
    return mounted.header("Location");
  };
  const ways = [mount, ...Object.values(uploadWays(client))];
  let pushedBlobs = 0;
  for (const [name, milliseconds] of ages) {
    await advance(milliseconds);
    await collect(["pushed", "mounted"], [...digests, digestOf(config)]);
    for (const bytes of [config, ...layers]) {
      const head = await client.send("HEAD", `/v2/pushed/blobs/${digestOf(bytes)}`);
      if (head.status === 404) await ways[pushedBlobs++ % ways.length]?.("pushed", bytes, digestOf(bytes));
    }
    const manifest = imageManifest(
      describe(config, configType),
      layers.map((bytes) => describe(bytes, layerType)),
      { annotations: { name } },
    );
    const image = { digest: digestOf(manifest), manifest, config: digestOf(config), layers: digests };
    await client.pushManifest("pushed", "v1", manifest);
    await client.pullImage("pushed", "v1", image);
    await client.must(202, "DELETE", `/v2/pushed/manifests/${image.digest}`);
  }
  assert.equal(pushedBlobs, 4 * (layers.length + 1), "they were there while the grace ran, and no longer");
});

test("50 clients tag and attach referrers while all is collected: each 201 is found", async () => {
  const base = await registry.pushImage("crowd", "base");
  const subject = describe(base.manifest, imageManifestType);
  const work = Array.from({ length: 50 }, async (_, index) => {
    const client = new Client(registry.url);
    const image = await client.pushImage("crowd", `tag-${index}`);
    const referrer = imageIndex([], { subject, annotations: { index: String(index) } });
    await client.pushManifest("crowd", digestOf(referrer), referrer, imageIndexType);
    return { tag: `tag-${index}`, image, referrer: digestOf(referrer) };
  });
  let isOver = false;
  const pushing = Promise.all(work).finally(() => {
    isOver = true;
  });
  while (!isOver) {
    await advance(500);
    await collect(["crowd"], [base.config, ...base.layers]);
  }
  const pushed = await pushing;
  await advance(26 * hourMs);
  await collect(
    ["crowd"],
    pushed.flatMap(({ image }) => [image.config, ...image.layers]),
  );
  const { tags } = (await registry.must(200, "GET", "/v2/crowd/tags/list")).json<{ tags: string[] }>();
  assert.deepEqual(tags.toSorted(), ["base", ...pushed.map(({ tag }) => tag)].toSorted());
  for (const { tag, image } of pushed) {
    const { bytes } = await registry.must(200, "GET", `/v2/crowd/manifests/${tag}`);
    assert.deepEqual(bytes, image.manifest);
    await registry.must(200, "HEAD", `/v2/crowd/blobs/${image.config}`);
  }
  const listed = await registry.must(200, "GET", `/v2/crowd/referrers/${base.digest}`);
  const found = listed.json<{ manifests: { digest: string }[] }>().manifests.map(({ digest }) => digest);
  assert.deepEqual(found.toSorted(), pushed.map(({ referrer }) => referrer).toSorted());
});
