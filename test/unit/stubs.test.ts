import assert from "node:assert/strict";
import test from "node:test";
import type { Env } from "../../src/bindings.ts";
import { registryItself } from "../../src/oci/event.ts";
import type { Digest, RepositoryName } from "../../src/oci/reference.ts";
import type { ManifestPut } from "../../src/rpc/ledger-writes.ts";
import {
  catalogStub,
  repositoryStub,
  shardNames,
  shardOf,
  Unreachable,
  uploadObjectOf,
  webhooksStub,
} from "../../src/rpc/stubs.ts";
import type { Webhook } from "../../src/rpc/webhooks-api.ts";
import { content, unknownDigest } from "../support/content.ts";
import { getOn } from "../support/get-on.ts";
import { namespaceOf } from "../support/namespace.ts";

/** Objects whose first call fails in this way, after it has done what it was asked for; and what they were asked. */
function failingOnce(trouble: { retryable?: boolean; overloaded?: boolean }) {
  const asked: string[] = [];
  const answer = (method: string) => async () => {
    asked.push(method);
    if (asked.length === 1) throw Object.assign(new Error("Network connection lost."), trouble);
    return false;
  };
  const stub = new Proxy({}, { get: (_, method) => answer(String(method)) });
  const namespace = namespaceOf(stub);
  const env = { CATALOG: namespace, LEDGERS: namespace, WEBHOOKS: namespace } as unknown as Env;
  return {
    catalog: catalogStub(env),
    repository: repositoryStub(env, "a" as RepositoryName),
    webhooks: webhooksStub(env),
    asked,
  };
}

test("a call that may be repeated is repeated once, where the platform says that this helps", async () => {
  const { catalog, asked } = failingOnce({ retryable: true });
  await catalog.account("somebody");
  assert.deepEqual(asked, ["account", "account"]);
});

test("a call is not repeated where its object is overloaded, or has failed", async () => {
  for (const trouble of [{ retryable: true, overloaded: true }, {}]) {
    const { catalog, asked } = failingOnce(trouble);
    await assert.rejects(catalog.account("somebody"), Unreachable);
    assert.deepEqual(asked, ["account"]);
  }
});

const push: ManifestPut = {
  repository: "a" as RepositoryName,
  digest: unknownDigest() as Digest,
  bytes: content(),
  facts: { mediaType: "a/b", references: [] },
  tags: [],
  origin: registryItself,
  registration: null,
  sparse: false,
};

type Objects = ReturnType<typeof failingOnce>;

/** By what would be wrong about the second time. */
const oneTimeCalls: [reason: string, calls: Record<string, (objects: Objects) => Promise<unknown>>][] = [
  [
    "it would say that there is nothing",
    {
      deleteAccount: ({ catalog }) => catalog.deleteAccount("somebody"),
      deleteToken: ({ catalog }) => catalog.deleteToken("somebody", "token"),
    },
  ],
  [
    "it would be there twice",
    {
      audit: ({ catalog }) => catalog.audit([]),
      addWebhook: ({ webhooks }) => webhooks.addWebhook({} as Webhook),
    },
  ],
  [
    "nobody said that it may be",
    {
      newMethod: ({ catalog }) => (catalog as unknown as { newMethod(): Promise<void> }).newMethod(),
    },
  ],
  [
    "it would undo what somebody else did meanwhile",
    {
      putAccount: ({ catalog }) => catalog.putAccount({ name: "somebody", grants: [], isDisabled: false }),
      putManifest: ({ repository }) => repository.putManifest(push),
      setInfo: ({ repository }) => repository.setInfo({ visibility: "public" }, registryItself),
      changeWebhook: ({ webhooks }) => webhooks.changeWebhook("webhook", {}),
    },
  ],
];

for (const [reason, calls] of oneTimeCalls) {
  for (const [name, call] of Object.entries(calls)) {
    test(`${name} is not repeated, as it may have been done: ${reason}`, async () => {
      const objects = failingOnce({ retryable: true });
      await assert.rejects(call(objects), Unreachable);
      assert.deepEqual(objects.asked, [name]);
    });
  }
}

test("digests are divided evenly between the shards that there are", () => {
  for (const [count, MACHINE] of [
    [256, undefined],
    ...[1, 2, 16].map(
      (blobShards) => [blobShards, JSON.stringify({ blobShards, uploadPools: 0, nameIndexes: 16 })] as const,
    ),
  ] as const) {
    const division = MACHINE === undefined ? {} : { MACHINE };
    const bytes = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, "0"));
    const shards = bytes.map((byte) => shardOf(division, `sha256:${byte.padEnd(64, "0")}` as Digest));
    assert.deepEqual([...new Set(shards)], shardNames(division));
    assert.equal(shardNames(division).length, count);
    assert(
      Map.groupBy(shards, (name) => name)
        .values()
        .every(({ length }) => length === 256 / count),
    );
  }
  assert.equal(shardOf({}, `sha512:${"ab".padEnd(128, "0")}` as Digest), "ab");
});

test("sessions have an object each, or share a number of them", () => {
  const sessions = Array.from({ length: 100 }, () => crypto.randomUUID());
  assert.deepEqual(
    sessions.map((session) => uploadObjectOf({}, session)),
    sessions,
  );
  const division = { MACHINE: JSON.stringify({ blobShards: 1, uploadPools: 4, nameIndexes: 1 }) };
  assert.equal(new Set(sessions.map((session) => uploadObjectOf(division, session))).size, 4);
});

test("a call that is never answered is given up, and what it comes to later does nothing", async (t) => {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  let isDisposed = false;
  const answer = Promise.withResolvers<boolean>();
  const pending = Object.assign(answer.promise, {
    [Symbol.dispose]: () => {
      isDisposed = true;
    },
  });
  let asked = 0;
  const stub = new Proxy({}, { get: () => () => ++asked && pending });
  const env = { CATALOG: namespaceOf(stub) } as unknown as Env;
  const call = catalogStub(env).account("somebody");
  const outcome = assert.rejects(call, { name: "Unreachable", message: /no answer within 120 s/ });
  await getOn();
  t.mock.timers.tick(120_000);
  await outcome;
  assert(isDisposed);
  assert.equal(asked, 1, "it may have happened");
  answer.reject(new Error("late"));
});
