/**
 * Properties of the HTTP surface: whatever is asked, the answer is the one that the model predicts, in the form that
 * all answers have, and the registry holds what the model holds: nothing of what was refused.
 *
 * `CASES` says how many requests are made, about; `SEED` makes those of an earlier run again, which said its seed.
 */
import assert from "node:assert/strict";
import test from "node:test";
import fc from "fast-check";
import type { Answer } from "../support/client.ts";
import { converse, head } from "../support/raw.ts";
import { serve, until } from "../support/registry.ts";
import { repositoryRequests, requestsInSequence } from "./arbitraries.ts";
import { predict } from "./model.ts";
import { blobDigests, blobs, goodNames, manifestDigests, manifests } from "./pools.ts";
import { assertPredicted, type Prediction, refuse } from "./prediction.ts";
import { bytesOf, type RepositoryRequest, targetOf } from "./request.ts";
import { runs } from "./runs.ts";
import { Session } from "./session-model.ts";
import { type Step, steps, toRequest } from "./session-steps.ts";
import { World } from "./world.ts";

const registry = await serve();
const world = new World();

/** Sends requests as they are, over one connection, and holds each answer to its prediction. */
async function expectAll(requests: RepositoryRequest[]): Promise<void> {
  const predictions = requests.map((request) => predict(world, request));
  const bytes = Buffer.concat(requests.map(bytesOf));
  const answers = await converse(
    registry.url,
    bytes,
    requests.map(({ method }) => method),
  );
  for (const [index, request] of requests.entries()) {
    expectOne(request.method, targetOf(request), answers[index], predictions[index]);
  }
}

function expectOne(
  method: string,
  target: string,
  answer: Answer | undefined,
  prediction: Prediction | undefined,
): void {
  assert(answer !== undefined && prediction !== undefined, `${method} ${target}: there is no answer`);
  assertPredicted(method, target, answer, prediction);
}

/** What can be sent without waiting for answers: requests without a body, one after the other. */
function pipelined(requests: RepositoryRequest[]): RepositoryRequest[][] {
  const groups: RepositoryRequest[][] = [];
  let isOpen = false;
  for (const request of requests) {
    if (isOpen && request.framing === "none") groups.at(-1)?.push(request);
    else groups.push([request]);
    isOpen = request.framing === "none";
  }
  return groups;
}

/** Checks that the store has each blob once, and that the repositories have the tags that they must have. */
async function assertKept(): Promise<void> {
  for (const name of goodNames) {
    const tags = [...(world.repositories.get(name)?.tags.keys() ?? [])].sort();
    assert.deepEqual((await registry.must(200, "GET", `/v2/${name}/tags/list`)).json(), { name, tags });
  }
  const isKept = async () => (await registry.blobKeys()).length === world.stored.size;
  await until("the store to hold each blob once", isKept);
}

/** Asks for all that a repository could hold. */
async function assertHolds(name: string): Promise<void> {
  const repository = world.repositories.get(name);
  const held = (isHeld: boolean | undefined, or: Prediction): Prediction => (isHeld ? { status: 200 } : or);
  const expected: [target: string, prediction: Prediction][] = [
    ...blobDigests.map((digest): [string, Prediction] => [
      `/v2/${name}/blobs/${digest}`,
      held(repository?.blobs.has(digest), refuse("BLOB_UNKNOWN")),
    ]),
    ...manifestDigests.map((digest): [string, Prediction] => [
      `/v2/${name}/manifests/${digest}`,
      held(repository?.manifests.has(digest), refuse("MANIFEST_UNKNOWN")),
    ]),
  ];
  const heads = expected.map(([target]) => head("HEAD", target)).join("");
  const methods = expected.map(() => "HEAD");
  const answers = await converse(registry.url, heads, methods);
  for (const [index, [target, prediction]] of expected.entries()) {
    expectOne("HEAD", target, answers[index], prediction);
  }
}

/** What is pushed before all else, so that there is something to ask for. */
const pushes: RepositoryRequest[] = goodNames.flatMap((name) => {
  const request = { name, reference: "", query: [], headers: [], framing: "length" } as const;
  return [
    ...blobs.map((body, index): RepositoryRequest => {
      const digest = blobDigests[index] ?? "";
      return {
        ...request,
        resource: "uploads",
        method: "POST",
        query: [["digest", digest]],
        headers: [],
        body,
      };
    }),
    ...manifests.slice(0, 10).map(({ bytes, type }, index): RepositoryRequest => {
      const [reference, method] = [manifestDigests[index] ?? "", "PUT"];
      return {
        ...request,
        resource: "manifest",
        reference,
        method,
        query: [],
        headers: [["Content-Type", type]],
        body: bytes,
      };
    }),
  ];
});

for (const push of pushes) await expectAll([push]);

test("requests about repositories are answered as predicted, and leave what is predicted", async (t) => {
  const property = fc.asyncProperty(repositoryRequests, async (requests) => {
    for (const group of pipelined(requests)) await expectAll(group);
    await assertKept();
  });
  await runs(t, 0.7 / requestsInSequence, property);
  for (const name of world.repositories.keys()) await assertHolds(name);
});

/** Sends the next request of a session, and goes on with the location that it is given. */
async function take(session: Session, step: Step): Promise<void> {
  const { request, at } = toRequest(session, step);
  const prediction = session.predict(world, request, at);
  const [answer] = await converse(registry.url, bytesOf(request), [request.method]);
  expectOne(request.method, targetOf(request), answer, prediction);
  const location = answer?.headers.get("Location") ?? "";
  if (!location.includes("/uploads/")) return;
  const isStarted =
    at.isStarted || (request.method === "PATCH" && answer?.status === 202) || session.kept.byteLength > 0;
  session.moveTo(location.slice(location.lastIndexOf("/") + 1), isStarted);
}

test("an upload session is answered as predicted, whatever is sent to it, and ends as what was sent", async (t) => {
  const algorithms = fc.constantFrom("", "?digest-algorithm=sha512");
  const property = fc.asyncProperty(algorithms, steps, async (query, sequence) => {
    const location = await registry.openUpload("props/sessions", query);
    const session = new Session("props/sessions", location.slice(location.lastIndexOf("/") + 1));
    for (const step of sequence) await take(session, step);
  });
  await runs(t, 0.2 / 6, property);
  await assertKept();
  const kept = world.repositories.get("props/sessions")?.blobs ?? new Map<string, Uint8Array>();
  for (const [digest, bytes] of kept) {
    const pulled = await registry.must(200, "GET", `/v2/props/sessions/blobs/${digest}`);
    assert.deepEqual(pulled.bytes, bytes);
  }
});
