/** A repository whose ledger is as large as it may become. */
import assert from "node:assert/strict";
import test from "node:test";
import { expectError } from "../support/answer.ts";
import { content, digestOf, encode } from "../support/content.ts";
import { startTimedRegistry } from "../support/timed-registry.ts";
import { gcNow } from "../support/upkeep.ts";

const { registry, advance } = await startTimedRegistry({ vars: { LEDGER_LIMIT: "1MiB", LEASE_TTL: "5s" } });
const image = await registry.pushImage("team/full", "v1");

const type = "application/vnd.example";

/** A manifest of 128 KiB, unlike any other. */
const largeManifest = () =>
  encode({ mediaType: type, text: Buffer.from(content(96 * 1024)).toString("base64") });

function expectFull(answer: Parameters<typeof expectError>[0]): void {
  const { message } = expectError(answer, 507, "UNAVAILABLE");
  assert.match(message, /^the repository has as many manifests and tags as it can hold/);
}

const filling: string[] = [];
for (let count = 0; ; count++) {
  assert(count < 20, "a limit is reached");
  const answer = await registry.putManifest("team/full", `filling-${count}`, largeManifest(), type);
  if (answer.status !== 201) {
    expectFull(answer);
    break;
  }
  filling.push(answer.header("Docker-Content-Digest"));
}

test("a full repository takes no manifest, tag or blob, however it comes", async () => {
  assert(filling.length > 3);
  expectFull(await registry.putManifest("team/full", "small", image.manifest));
  const bytes = content();
  const digest = digestOf(bytes);
  const whole = `/v2/team/full/blobs/uploads/?digest=${digest}`;
  expectFull(await registry.send("POST", whole, { body: bytes }));
  const location = await registry.patch(await registry.openUpload("team/full"), bytes);
  expectFull(await registry.send("PUT", `${location}?digest=${digest}`));
  const other = await registry.pushBlob("team/other");
  const mount = `/v2/team/full/blobs/uploads/?mount=${other}&from=team/other`;
  await registry.must(202, "POST", mount, { body: "" });
  await registry.must(404, "HEAD", `/v2/team/full/blobs/${digest}`);
});

test("a full repository is pulled from, and what was deleted from it is restored", async () => {
  await registry.pullImage("team/full", "v1", image);
  const [first = ""] = filling;
  await registry.must(202, "DELETE", "/v2/team/full/manifests/v1");
  await registry.must(202, "DELETE", `/v2/team/full/manifests/${first}`);
  const restore = (path: string, body: object) =>
    registry.must(200, "POST", `/api/v1/repositories/team/full/${path}`, { body: JSON.stringify(body) });
  await restore("tags/v1/restore", {});
  await restore(`manifests/${first}/restore`, {});
  await registry.pullImage("team/full", "v1", image);
  await registry.must(200, "HEAD", `/v2/team/full/manifests/${first}`);
});

test("a full repository is deleted and restored as a whole, and takes pushes once something is gone", async () => {
  await registry.must(202, "DELETE", "/api/v1/repositories/team/full");
  await registry.must(200, "POST", "/api/v1/repositories/team/full/restore", { body: "{}" });
  await registry.pullImage("team/full", "v1", image);
  for (const digest of filling) await registry.must(200, "HEAD", `/v2/team/full/manifests/${digest}`);
  expectFull(await registry.putManifest("team/full", "small", image.manifest));
  for (const digest of filling.slice(0, 3))
    await registry.must(202, "DELETE", `/v2/team/full/manifests/${digest}`);
  await advance(60_000);
  await gcNow(registry);
  await registry.pushImage("team/full", "v2");
});
