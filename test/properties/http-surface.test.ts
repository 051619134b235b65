/**
 * Properties of the HTTP surface: whatever is asked, the answer is the one that the model predicts, in the form that
 * all answers have, and the registry holds what the model holds: nothing of what was refused.
 *
 * `CASES` says how many requests are made, about; `SEED` makes those of an earlier run again, which said its seed.
 */
import assert from "node:assert/strict";
import test from "node:test";
import fc from "fast-check";
import { repositoryRequests, requestsInSequence } from "./arbitraries.ts";
import { cutShort, odd } from "./broken.ts";
import {
  assertHolds,
  assertKept,
  expectAll,
  expectCutShort,
  expectOther,
  expectRefused,
  pipelined,
  registry,
  take,
  world,
} from "./harness.ts";
import { otherRequest } from "./other-routes.ts";
import { runs } from "./runs.ts";
import { Session } from "./session-model.ts";
import { steps, stepsOfSession } from "./session-steps.ts";

test("requests about repositories are answered as predicted, and leave what is predicted", async (t) => {
  const property = fc.asyncProperty(repositoryRequests, async (requests) => {
    for (const group of pipelined(requests)) await expectAll(group);
    await assertKept();
  });
  await runs(t, 0.6 / requestsInSequence, property);
  for (const name of world.repositories.keys()) await assertHolds(name);
});

test("an upload session is answered as predicted, whatever is sent to it, and ends as what was sent", async (t) => {
  const algorithms = fc.constantFrom("", "?digest-algorithm=sha512");
  const property = fc.asyncProperty(algorithms, steps, async (query, sequence) => {
    const location = await registry.openUpload("props/sessions", query);
    const session = new Session("props/sessions", location.slice(location.lastIndexOf("/") + 1));
    for (const step of sequence) await take(session, step);
  });
  await runs(t, 0.2 / stepsOfSession, property);
  await assertKept();
  const kept = world.repositories.get("props/sessions")?.blobs ?? new Map<string, Uint8Array>();
  for (const [digest, bytes] of kept) {
    const pulled = await registry.must(200, "GET", `/v2/props/sessions/blobs/${digest}`);
    assert.deepEqual(pulled.bytes, bytes);
  }
});

test("the other routes have the methods that they say, and nothing that is asked is a failure", async (t) => {
  await runs(t, 0.1, fc.asyncProperty(otherRequest, expectOther));
  await assertKept();
});

test("a body that ends too early is refused, and nothing of it is stored", async (t) => {
  await runs(t, 0.05, fc.asyncProperty(cutShort, expectCutShort));
  await assertKept();
});

test("what HTTP does not allow fails nothing, and changes nothing", async (t) => {
  await runs(t, 0.05, fc.asyncProperty(odd, expectRefused));
  await assertKept();
});
