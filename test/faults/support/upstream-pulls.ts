/** Pulling through the cache of an upstream that fails: what comes is right or breaks off, and nothing of it is left. */
import { blobs } from "./contents.ts";
import { digestHeader, type Reply } from "./location.ts";
import { cacheName, tagTtlMs, upstreamId } from "./memory-upstream.ts";
import { checked } from "./model.ts";
import { type FaultTarget, type LocationIndex, tagCount, type UpstreamStep } from "./program.ts";
import type { Run } from "./run.ts";

/** How long an upstream that failed may be left alone, in milliseconds: objects/upstream/health.ts. */
const leftAloneMs = 70_000;

/** Does what the step says. */
export async function useUpstream(run: Run, step: UpstreamStep): Promise<void> {
  const { upstream } = run.world;
  run.isCacheUsed = true;
  switch (step.do) {
    case "upstream fails":
      return upstream.fail(step);
    case "upstream moves tag":
      return upstream.move(step.tag, step.manifest);
    case "pull upstream tag":
      return pullTag(run, step.tag, step.at);
    case "pull upstream manifest":
      return pullManifest(run, step.manifest, step.at);
    case "pull upstream blob":
      return pullBlob(run, step);
    case "evict upstream":
      return evict(run, step.at);
    case "delete cache":
      return deleteCache(run, step.at);
  }
}

/** What is logged where the machine itself was too slow for the short time that an upstream has in programs. */
const tooSlow = /upstream failed.*(?:TimeoutError|no answer within|sent nothing for too long)/;

/** Whether a refusal of what was asked at a time is no fault of the registry's. */
function isExcused(run: Run, faults: FaultTarget[], askedAt: number): boolean {
  if (run.world.trace.some((line) => tooSlow.test(line))) return true;
  return faults.length > 0 || askedAt - run.world.upstream.troubledAt <= leftAloneMs + run.stalledMs;
}

/** Nothing is taken for right that is not; a refusal has a reason, and its status says so. */
function checkPull(run: Run, what: string, reply: Reply, excused: boolean, bytes: Uint8Array): boolean {
  if (reply.status === 200 && reply.isWhole) {
    run.require(Buffer.from(bytes).equals(reply.bytes), `${what} has other bytes`);
    return true;
  }
  run.require(
    excused,
    `${what} is answered with ${reply.status}, ${reply.isWhole ? "whole" : "broken off"}, without a reason`,
  );
  run.require([200, 404, 429, 502, 503].includes(reply.status), `${what} is answered with ${reply.status}`);
  return false;
}

async function pullTag(run: Run, tag: number, at: LocationIndex): Promise<void> {
  const askedAt = Date.now();
  const path = `/v2/${cacheName}/manifests/tag-${tag}`;
  await run.act(
    () => run.clients.send(at, "GET", path, { as: "reader" }),
    async ({ result, faults }) => checkTag(run, tag, result, faults, askedAt),
    () => {},
  );
}

function checkTag(run: Run, tag: number, reply: Reply, faults: FaultTarget[], askedAt: number): void {
  const { upstream } = run.world;
  const what = `tag ${tag} of the upstream`;
  const digest = reply.headers.get(digestHeader);
  const number = run.manifests.findIndex((manifest) => manifest.digest === digest);
  const content = run.manifests[number] ?? { bytes: new Uint8Array() };
  const excused = isExcused(run, faults, askedAt);
  if (!checkPull(run, what, reply, excused, content.bytes)) return;
  run.require(number >= 0, `${what} points at what the upstream never had`);
  const isStale = reply.headers.has("Warning");
  run.require(!isStale || excused, `${what} is stale without a reason`);
  const since = isStale ? 0 : askedAt - tagTtlMs - run.stalledMs;
  const places = upstream.placesSince(tag, since);
  run.require(places.includes(number), `${what} points at manifest ${number}, not at ${places.join(" or ")}`);
}

async function pullManifest(run: Run, number: number, at: LocationIndex): Promise<void> {
  const { digest, bytes } = run.manifest(number);
  const askedAt = Date.now();
  const path = `/v2/${cacheName}/manifests/${digest}`;
  await run.act(
    () => run.clients.send(at, "GET", path, { as: "reader" }),
    async ({ result, faults }) => {
      checkPull(run, `manifest ${number} of the upstream`, result, isExcused(run, faults, askedAt), bytes);
    },
    () => {},
  );
}

type BlobPull = Extract<UpstreamStep, { do: "pull upstream blob" }>;

/** Several clients pull a blob at once; the first may go away when it has had some of it. */
async function pullBlob(run: Run, { at, blob, clients, leaves }: Omit<BlobPull, "do">): Promise<void> {
  const content = checked(blobs[blob], `blob ${blob}`);
  const path = `/v2/${cacheName}/blobs/${content.digest}`;
  const { upstream } = run.world;
  const before = upstream.timesSent(content.digest);
  const askedAt = Date.now();
  const pull = (_: unknown, index: number) =>
    run.clients.send(at, "GET", path, { as: "reader", leaves: leaves && index === 0 });
  const what = `blob ${blob} of the upstream`;
  await run.act(
    () => Promise.all(Array.from({ length: clients }, pull)),
    async ({ result, faults }) => {
      const excused = isExcused(run, faults, askedAt);
      const times = upstream.timesSent(content.digest) - before;
      // They joined a fetch which a client had left, and whose bytes were wrong.
      const haveJoined = times === 0 && upstream.hasFailed(content.digest);
      for (const [index, reply] of result.entries()) {
        if (leaves && index === 0 && reply.status === 200) continue;
        checkPull(run, what, reply, excused || haveJoined, content.bytes);
      }
      run.require(times <= 1 || excused, `${what} was fetched ${times} times`);
    },
    () => {},
  );
}

async function evict(run: Run, at: LocationIndex): Promise<void> {
  const path = `/api/v1/upstreams/${upstreamId}/evict`;
  const send = () => run.clients.send(at, "POST", path, { as: "administrator" });
  const { result, faults } = await run.counting(send);
  if (result.status >= 500) {
    run.requireExcused(result, faults, path);
    await run.world.faults.suspended(send);
    return;
  }
  run.require(result.status === 200, `${path} is answered with ${result.status}`);
}

async function deleteCache(run: Run, at: LocationIndex): Promise<void> {
  const path = `/api/v1/repositories/${cacheName}`;
  const { result, faults } = await run.counting(() =>
    run.clients.send(at, "DELETE", path, { as: "administrator" }),
  );
  if (result.status >= 500) run.requireExcused(result, faults, path);
  else run.require([202, 404].includes(result.status), `${path} is answered with ${result.status}`);
}

/** Pulls everything that the upstream has, which nothing may refuse. */
async function pullAll(run: Run, at: LocationIndex): Promise<void> {
  for (let tag = 0; tag < tagCount; tag++) await pullTag(run, tag, at);
  for (const number of run.manifests.keys()) await pullManifest(run, number, at);
  for (const blob of blobs.keys()) await pullBlob(run, { at, blob, clients: 1, leaves: false });
}

/**
 * The end of an upstream: it answers again, and everything can be pulled; then it goes for good, and everything can be
 * pulled still; then nothing of it is kept. `pass`: lets minutes pass.
 */
export async function endUpstream(run: Run, pass: () => Promise<void>): Promise<void> {
  const { upstream } = run.world;
  upstream.heal();
  // An object that dies tells nobody that it reads no more.
  const isCrashed = run.world.faults.fired.includes("FETCHES");
  const isIdle = await upstream.isIdle(isCrashed ? 1_000 : 10_000);
  run.require(isIdle || isCrashed, "a fetch that hangs is not given up");
  await run.world.faults.delayed.settle();
  await pass();
  await pullAll(run, 0);
  upstream.heal(true);
  await pass();
  await pullKept(run);
  upstream.heal();
  await evict(run, 0);
}

/** Pulls all of what was pulled before, without an upstream. */
async function pullKept(run: Run): Promise<void> {
  const pull = (path: string) => run.clients.send(1, "GET", `/v2/${cacheName}/${path}`, { as: "reader" });
  for (let tag = 0; tag < tagCount; tag++) {
    const { status } = await pull(`manifests/tag-${tag}`);
    run.require(
      status === 200,
      `tag ${tag}, which was pulled, is answered with ${status} without its upstream`,
    );
  }
  // What no manifest names that was pulled is kept only for the grace.
  const isNamed = (_: unknown, blob: number) =>
    run.manifests.some(({ kind, references }) => kind === "image" && references.includes(blob));
  for (const [what, contents] of [
    ["manifests", run.manifests],
    ["blobs", blobs.filter(isNamed)],
  ] as const) {
    for (const { digest, bytes } of contents) {
      const reply = await pull(`${what}/${digest}`);
      const isRight = reply.status === 200 && reply.isWhole && Buffer.from(bytes).equals(reply.bytes);
      run.require(
        isRight,
        `${digest}, which was pulled, is answered with ${reply.status} without its upstream`,
      );
    }
  }
}
