import assert from "node:assert/strict";
import test from "node:test";
import { content, mebibyte } from "../support/content.ts";
import { startTimedRegistry } from "../support/timed-registry.ts";

const { registry, advance } = await startTimedRegistry();

type Listed = {
  id: string;
  repository: string;
  account: string;
  startedAt: string;
  lastActiveAt: string;
  bytes: number;
  writing: boolean;
};

async function listed(): Promise<Listed[]> {
  // Where each session has an object, the catalog hears of those that last longer than this.
  await advance(31_000);
  await registry.must(200, "GET", "/v2/");
  await registry.must(200, "GET", "/metrics");
  return (await registry.must(200, "GET", "/api/v1/uploads")).json<{ uploads: Listed[] }>().uploads;
}

test("an upload that is under way is listed, with whose it is and how far it got, and is not any more when it ends", async () => {
  assert.deepEqual(await listed(), []);
  const first = await registry.patch(await registry.openUpload("team/one"), content(2 * mebibyte));
  await advance(10_000);
  const second = await registry.patch(await registry.openUpload("team/two"), content(1000));
  const [one, two, ...others] = await listed();
  assert.deepEqual(others, []);
  assert.deepEqual([one?.repository, two?.repository], ["team/one", "team/two"]);
  assert.equal(one?.account, "anonymous");
  assert.equal(two?.bytes, 1000);
  assert.equal(one?.writing, false);
  assert(first.includes(one.id) && second.includes(two.id));
  assert.equal(Date.parse(two.startedAt) - Date.parse(one.startedAt) >= 10_000, true);
  await registry.must(204, "DELETE", second);
  assert.deepEqual(
    (await listed()).map(({ id }) => id),
    [one.id],
  );
  await registry.must(204, "DELETE", first);
  assert.deepEqual(await listed(), []);
});

test("an upload that is dropped is gone with its bytes, and that is noted", async () => {
  const location = await registry.patch(await registry.openUpload("team/app"), content(6 * mebibyte));
  const [upload] = await listed();
  const stored = () => registry.stored.openMultiparts();
  assert.equal(stored(), 1);
  await registry.must(204, "DELETE", `/api/v1/uploads/${upload?.id}`);
  assert.equal(stored(), 0);
  await registry.must(404, "GET", location);
  await registry.must(404, "PATCH", location, { body: content() });
  await registry.must(404, "DELETE", `/api/v1/uploads/${upload?.id}`);
  assert.deepEqual(await listed(), []);
  const { entries } = (await registry.must(200, "GET", "/api/v1/audit")).json<{ entries: object[] }>();
  const noted = { action: "upload.drop", target: "team/app", outcome: "done", detail: upload?.id };
  assert(
    entries.some((entry) =>
      Object.entries(noted).every(([name, value]) => Reflect.get(entry, name) === value),
    ),
  );
});

test("what is no upload cannot be dropped", async () => {
  for (const id of [crypto.randomUUID(), "health-check", "pool-0"]) {
    await registry.must(404, "DELETE", `/api/v1/uploads/${id}`);
  }
});
