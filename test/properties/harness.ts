/** The registry that the properties are about, its model, and what both are held to. */
import assert from "node:assert/strict";
import { type Answer, checkAnswer } from "../support/answer.ts";
import { converse, head } from "../support/raw.ts";
import { startRegistry, until } from "../support/registry.ts";
import type { CutShort } from "./broken.ts";
import { predict } from "./model.ts";
import { type OtherRequest, predictOther } from "./other-routes.ts";
import { blobDigests, blobs, goodNames, manifestDigests, manifests } from "./pools.ts";
import { assertPredicted, type Prediction, refuse } from "./prediction.ts";
import { bytesOf, onTheWire, type RepositoryRequest, targetOf } from "./request.ts";
import type { Session } from "./session-model.ts";
import { type Step, toRequest } from "./session-steps.ts";
import { World } from "./world.ts";

export const registry = await startRegistry();
export const world = new World();

/** Sends requests as they are, over one connection, and holds each answer to its prediction. */
export async function expectAll(requests: RepositoryRequest[]): Promise<void> {
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
export function pipelined(requests: RepositoryRequest[]): RepositoryRequest[][] {
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
export async function assertKept(): Promise<void> {
  for (const name of goodNames) {
    const tags = [...(world.repositories.get(name)?.tags.keys() ?? [])].sort();
    assert.deepEqual((await registry.must(200, "GET", `/v2/${name}/tags/list`)).json(), { name, tags });
  }
  const isKept = async () => registry.stored.blobKeys().length === world.stored.size;
  await until("the store to hold each blob once", isKept);
}

/** Asks for all that a repository could hold. */
export async function assertHolds(name: string): Promise<void> {
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

/** Sends the next request of a session, and goes on with the location that it is given. */
export async function take(session: Session, step: Step): Promise<void> {
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

/** Sends a request to any other route. */
export async function expectOther(request: OtherRequest): Promise<void> {
  const { method, target, headers, body, framing } = request;
  const [answer] = await converse(registry.url, onTheWire(method, target, headers, body, framing), [method]);
  const prediction = predictOther(request);
  if (prediction !== undefined) return expectOne(method, target, answer, prediction);
  assert(answer !== undefined, `${method} ${target}: there is no answer`);
  assert(answer.status < 500, `${method} ${target}: ${answer.status} ${answer.text}`);
  checkAnswer(method, target, answer);
}

/** Sends a body that ends too early. */
export async function expectCutShort(request: CutShort): Promise<void> {
  const session = request.isSession ? await registry.openUpload("props/a") : "";
  const target = session + request.target;
  const [answer] = await converse(registry.url, request.bytes(target), ["POST"], "half-close");
  expectOne("POST", target, answer, refuse(request.error));
}

/**
 * Sends what HTTP does not allow. Some of it the runtime refuses by itself, with statuses of its own and without our
 * headers, before the registry hears of it; what reaches the registry is answered in its form.
 */
export async function expectRefused(bytes: Uint8Array): Promise<void> {
  const text = Buffer.from(bytes).toString("latin1");
  const [method = ""] = /^[A-Z]*/.exec(text) ?? [];
  const [answer] = await converse(registry.url, bytes, [method], "half-close");
  if (answer?.headers.has("X-Request-Id")) checkAnswer(method, text.slice(0, 200), answer);
  else assert(answer === undefined || answer.status >= 400, `${answer?.status} ${answer?.text}`);
}
