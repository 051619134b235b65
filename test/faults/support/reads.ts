/** Reading as clients do, and holding each answer to what the model says. */
import { replicaKey } from "../../../src/storage/replica.ts";
import { ask } from "./ask.ts";
import { blobs, type Content } from "./contents.ts";
import { pullDamaged } from "./damage.ts";
import { listReferrers, listTags } from "./lists.ts";
import { type Caller, digestHeader, type Reply } from "./location.ts";
import { checked } from "./model.ts";
import type { FaultTarget, LocationIndex, ReadStep } from "./program.ts";
import { tagCount } from "./program.ts";
import type { Run } from "./run.ts";

/** How long an isolate takes a repository's word for what it links, in milliseconds: registry/caches.ts. */
const isolateTtlMs = 30_000;

/** Sends a read and checks what comes back. */
export async function read(run: Run, step: ReadStep): Promise<void> {
  switch (step.do) {
    case "pull tag":
      return pullTag(run, step.repository, step.tag, step.at, step.as);
    case "pull manifest":
      return pullManifest(run, step.repository, step.manifest, step.at);
    case "pull blob":
      return pullBlob(run, step.repository, step.blob, step.at);
    case "leave pull":
      return leavePull(run, step.repository, step.blob, step.at);
    case "ask for blob":
      return askForBlob(run, step.repository, step.blob, step.at);
    case "list tags":
      return listTags(run, step.repository, step.at);
    case "list referrers":
      return listReferrers(run, step.repository, step.manifest, step.at);
  }
}

/** Asks the ledgers about all that is uncertain, while nothing goes wrong. */
export async function settleUncertainties(run: Run): Promise<void> {
  await run.world.faults.suspended(async () => {
    for (const repository of run.repositories) {
      const model = run.model(repository);
      for (const manifest of run.manifests.keys()) {
        if (model.manifest(manifest) === "maybe") await askForManifest(run, repository, manifest, 0);
      }
      for (let tag = 0; tag < tagCount; tag++) {
        if (model.tag(tag).size > 1) await pullTag(run, repository, tag, 0, "pusher");
      }
      for (const blob of blobs.keys()) {
        if (model.blob(blob) === "maybe") await askForBlob(run, repository, blob, 0);
      }
    }
  });
}

/** Reads everything everywhere that is or ever was there, while nothing goes wrong. */
export async function readEverything(run: Run): Promise<void> {
  await run.world.faults.suspended(async () => {
    for (const repository of run.repositories) {
      const model = run.model(repository);
      await listTags(run, repository, 0);
      for (const { subject } of run.manifests) {
        if (subject !== undefined) await listReferrers(run, repository, subject, 1);
      }
      for (const at of [0, 1] as const) {
        for (let tag = 0; tag < tagCount; tag++) {
          if (!model.tag(tag).has(null)) await pullTag(run, repository, tag, at, "reader");
        }
        for (const manifest of run.manifests.keys()) {
          if (model.isKnown("manifest", manifest)) await pullManifest(run, repository, manifest, at);
        }
        for (const blob of blobs.keys()) {
          if (model.isKnown("blob", blob)) await pullBlob(run, repository, blob, at);
        }
      }
    }
  });
}

/** Pulls by tag: never an older place than the last acknowledged, but in an answer that says so itself. */
export async function pullTag(
  run: Run,
  repository: number,
  tag: number,
  at: LocationIndex,
  as: Caller,
): Promise<void> {
  const path = `/v2/${run.name(repository)}/manifests/tag-${tag}`;
  const { reply, faults } = await ask(run, at, "GET", path, as);
  const model = run.model(repository);
  const what = `tag ${tag} of repository ${repository}`;
  const values = model.tag(tag);
  if (reply.status === 404) {
    run.require(values.has(null), `${what} exists, and is not found`);
    model.tagSeen(tag, null);
    return;
  }
  run.require(reply.status === 200, `${what} is answered with ${reply.status}`);
  const digest = reply.headers.get(digestHeader);
  const number = run.manifests.findIndex((manifest) => manifest.digest === digest);
  run.require(number >= 0, `${what} points at ${digest}, which nobody pushed`);
  requireExact(run, reply, run.manifest(number), what);
  if (reply.headers.has("Warning")) {
    const isExcused = as === "reader" && mayBeStale(faults);
    run.require(isExcused, `${what} is stale although its ledger was in reach`);
    const seen = run.changeSeen(at, repository, tag);
    const change = model.changeTo(tag, number, seen);
    run.require(
      change !== undefined,
      `${what} did not point at manifest ${number} since it was last seen there`,
    );
    run.noteChange(at, repository, tag, change);
    return;
  }
  run.require(values.has(number), `${what} points at manifest ${number}, not at ${[...values].join(" or ")}`);
  model.tagSeen(tag, number);
  run.noteChange(at, repository, tag, model.lastChange(tag));
}

/** Pulls a manifest by digest. */
export async function pullManifest(
  run: Run,
  repository: number,
  number: number,
  at: LocationIndex,
): Promise<void> {
  const { digest, mediaType } = run.manifest(number);
  const path = `/v2/${run.name(repository)}/manifests/${digest}`;
  const { reply, askedAt } = await ask(run, at, "GET", path, "pusher");
  const model = run.model(repository);
  const what = `manifest ${number} of repository ${repository}`;
  if (reply.status === 404) {
    run.require(model.manifest(number) !== "yes", `${what} exists, and is not found`);
    model.manifestSeen(number, false);
    return;
  }
  run.require(reply.status === 200, `${what} is answered with ${reply.status}`);
  requireExact(run, reply, run.manifest(number), what);
  run.require(reply.headers.get("Content-Type") === mediaType, `${what} has another media type`);
  if (model.manifest(number) !== "no") return;
  const mayBeStale =
    mayBeRemembered(run, model.goneAt("manifest", number), repository, digest, at) &&
    (isFresh(model.goneAt("manifest", number), askedAt) ||
      mayBeInReplica(run, repository, { kind: "manifest", digest }, at, askedAt));
  run.require(mayBeStale, `${what} is deleted, and is found`);
}

/** Pulls a blob. `isPushed`: it was acknowledged just now, whatever came before that. */
export async function pullBlob(
  run: Run,
  repository: number,
  number: number,
  at: LocationIndex,
  isPushed = false,
): Promise<void> {
  if (run.damage.has(number)) return pullDamaged(run, repository, number, at);
  const blob = checked(blobs[number], `blob ${number}`);
  const { digest } = blob;
  const path = `/v2/${run.name(repository)}/blobs/${digest}`;
  const { reply, askedAt } = await ask(run, at, "GET", path, "reader");
  const model = run.model(repository);
  const what = `blob ${number} of repository ${repository}`;
  if (reply.status === 404) {
    run.require(model.blob(number) !== "yes" && !isPushed, `${what} exists, and is not found`);
    model.blobSeen(number, false);
    return;
  }
  run.require(reply.status === 200, `${what} is answered with ${reply.status}`);
  requireExact(run, reply, blob, what);
  if (model.blob(number) !== "no") return;
  const naming = run.manifests.filter(
    ({ kind, references }) => kind === "image" && references.includes(number),
  );
  const mayBeStale =
    mayBeRemembered(run, model.goneAt("blob", number), repository, digest, at) &&
    (isFresh(model.goneAt("blob", number), askedAt) ||
      mayBeInReplica(run, repository, { kind: "blob", digest }, at, askedAt) ||
      naming.some((manifest) =>
        mayBeInReplica(run, repository, { kind: "manifest", digest: manifest.digest }, at, askedAt),
      ));
  run.require(mayBeStale, `${what} is deleted, and is found`);
}

/** A client that goes away when it has some of a blob: what it has is right, and it costs nobody else anything. */
async function leavePull(run: Run, repository: number, number: number, at: LocationIndex): Promise<void> {
  if (run.damage.has(number)) return;
  const { digest, bytes } = checked(blobs[number], `blob ${number}`);
  const path = `/v2/${run.name(repository)}/blobs/${digest}`;
  const { result: reply, faults } = await run.counting(() =>
    run.clients.send(at, "GET", path, { as: "reader", leaves: true }),
  );
  const what = `blob ${number} of repository ${repository}, which a client leaves`;
  if (reply.status >= 500) return run.requireExcused(reply, faults, what);
  if (reply.status === 404)
    return run.require(run.model(repository).blob(number) !== "yes", `${what}, exists`);
  run.require(reply.status === 200, `${what}, is answered with ${reply.status}`);
  const begins = Buffer.from(bytes).subarray(0, reply.bytes.byteLength).equals(reply.bytes);
  run.require(begins, `${what}, has other bytes`);
}

/** Asks, as a client that pushes does before it uploads; the ledger answers, and keeps the blob for a while. */
async function askForBlob(run: Run, repository: number, number: number, at: LocationIndex): Promise<void> {
  const { digest, bytes } = checked(blobs[number], `blob ${number}`);
  const path = `/v2/${run.name(repository)}/blobs/${digest}`;
  const startedAt = Date.now();
  const { reply } = await ask(run, at, "HEAD", path, "pusher");
  const model = run.model(repository);
  const what = `blob ${number} of repository ${repository}, asked for`;
  run.require(reply.status === 200 || reply.status === 404, `${what} is answered with ${reply.status}`);
  const isLinked = reply.status === 200;
  run.require(model.blob(number) !== (isLinked ? "no" : "yes"), `${what}, is answered with ${reply.status}`);
  if (isLinked) {
    run.require(
      reply.headers.get("Content-Length") === String(bytes.byteLength),
      `${what}, has another size`,
    );
  }
  model.blobSeen(number, isLinked, startedAt);
}

/** Asks for a manifest, as a client that pushes does; the ledger answers. */
export async function askForManifest(
  run: Run,
  repository: number,
  number: number,
  at: LocationIndex,
): Promise<void> {
  const path = `/v2/${run.name(repository)}/manifests/${run.manifest(number).digest}`;
  const { reply } = await ask(run, at, "HEAD", path, "pusher");
  const model = run.model(repository);
  const what = `manifest ${number} of repository ${repository}, asked for`;
  run.require(reply.status === 200 || reply.status === 404, `${what} is answered with ${reply.status}`);
  const isThere = reply.status === 200;
  run.require(
    model.manifest(number) !== (isThere ? "no" : "yes"),
    `${what}, is answered with ${reply.status}`,
  );
  model.manifestSeen(number, isThere);
}

function requireExact(run: Run, reply: Reply, { bytes, digest }: Content, what: string): void {
  const named = reply.headers.get(digestHeader);
  run.require(named === digest, `${what} is said to be ${named}`);
  run.require(reply.isWhole && Buffer.from(bytes).equals(reply.bytes), `${what} has other bytes`);
}

/** Whether an isolate that was asked may still have remembered, by itself, what went at this time. */
function isFresh(goneAt: number, askedAt: number): boolean {
  return askedAt <= goneAt + isolateTtlMs;
}

/** Nothing is found where it was itself seen to go. */
function mayBeRemembered(
  run: Run,
  goneAt: number,
  repository: number,
  digest: string,
  at: LocationIndex,
): boolean {
  return goneAt > 0 && !run.wasDeletedLately(at, digest, repository);
}

function mayBeInReplica(
  run: Run,
  repository: number,
  object: { kind: "manifest" | "blob"; digest: string },
  at: LocationIndex,
  askedAt: number,
): boolean {
  return run.world.kv.mayBeSeen(replicaKey(run.name(repository), object), at, isolateTtlMs, askedAt);
}

/** Whether a tag may be read from the replica: its ledger, or the index of names, was out of reach. */
export function mayBeStale(faults: FaultTarget[]): boolean {
  return faults.includes("LEDGERS") || faults.includes("NAME_INDEX");
}
