/** Writing as clients do, and holding each answer to what the model expects. */

import { anyOf, type Certainty } from "./certainty.ts";
import { blobs } from "./contents.ts";
import { listReferrers, listTags } from "./lists.ts";
import type { Reply } from "./location.ts";
import { checked } from "./model.ts";
import type { FaultTarget, LeaveUploadStep, WriteStep } from "./program.ts";
import { BlobPush } from "./pushes.ts";
import { pullBlob, pullManifest, pullTag } from "./reads.ts";
import type { Run } from "./run.ts";
import { advanceClock } from "./world.ts";

/** The lease of a link, and the life of an upload, in milliseconds: what lasts longer may come to nothing. */
const leaseMs = 60_000;
const uploadTtlMs = 3600_000;

/** Sends a write; where it was refused for a fault, once more while nothing goes wrong. Then everybody looks. */
export async function write(run: Run, step: WriteStep): Promise<void> {
  const attempt = attemptsOf(run, step);
  const model = run.model(step.repository);
  const isPush = step.do === "push blob" || step.do === "mount";
  const begunAt = Date.now();
  let startedAt = begunAt;
  const mayHaveBeenDone = () => {
    model.applyPerhaps(step, startedAt);
    if (isPush) model.uploadMayFinish(step.blob);
  };
  const sourceBefore = sourceOf(run, step);
  await run.act(
    attempt,
    async ({ result, faults, wasHeld }) => {
      let reply = result;
      if (reply.status >= 500) {
        run.requireExcused(reply, faults, describe(step));
        mayHaveBeenDone();
        startedAt = Date.now();
        reply = await run.world.faults.suspended(attempt);
      }
      // A link that is made twice may be made the second time when the blob was deleted.
      if (isPush && faults.includes("LEDGERS.linkBlob")) model.uploadMayFinish(step.blob);
      const source = anyOf([sourceBefore, sourceOf(run, step)]);
      settle(run, step, reply, { begunAt, startedAt, faults, wasHeld, source });
      const isPushed = isPush && reply.status === 201 && model.goneAt("blob", step.blob) <= startedAt;
      await look(run, step, isPushed);
    },
    mayHaveBeenDone,
  );
}

/** Begins an upload that is not finished, or only by its object later. */
export async function leaveUpload(run: Run, step: LeaveUploadStep): Promise<void> {
  const { repository, at, isCancelled, isClosed } = step;
  const content = checked(blobs[step.blob], `blob ${step.blob}`);
  const options = { clients: run.clients, at, repository: run.name(repository), content };
  const push = new BlobPush({ ...options, way: "chunked", pause: async () => {} });
  const startedAt = Date.now();
  const mayFinish = () => {
    if (isClosed) run.model(repository).uploadMayFinish(step.blob);
  };
  await run.act(
    () => push.abandon(step),
    async ({ result: reply, faults, wasHeld }) => {
      mayFinish();
      if (reply.status >= 500) return run.requireExcused(reply, faults, describe(step));
      // One that was finished is unknown.
      const expected = isCancelled ? (isClosed ? [204, 404] : [204]) : isClosed ? [201] : [202];
      if (isClosed && wasHeld && mayBytesBeGone(run, step, startedAt)) expected.push(404);
      run.require(expected.includes(reply.status), `${describe(step)} is answered with ${reply.status}`);
      const { status } = await run.world.faults.suspended(() => push.status());
      // One that is being handed over when it is cancelled is over a moment later.
      const left = isCancelled ? (isClosed ? [404, 204] : [404]) : isClosed ? [404] : [204];
      run.require(left.includes(status), `${describe(step)} leaves an upload that is a ${status}`);
    },
    mayFinish,
  );
}

/** Each call of what it returns sends the write, or goes on with it. */
export function attemptsOf(run: Run, step: WriteStep): () => Promise<Reply> {
  const name = run.name(step.repository);
  const send = (method: string, path: string, headers = {}, body?: Uint8Array) =>
    run.clients.send(step.at, method, `/v2/${name}/${path}`, {
      headers,
      ...(body === undefined ? {} : { body }),
    });
  switch (step.do) {
    case "push blob": {
      const pause = async () => {
        if (step.pauseSeconds === 0) return;
        advanceClock(step.pauseSeconds * 1000);
        await run.world.objects.runDueAlarms("all");
        run.eachModel((model) => model.retentionMayRun());
      };
      const content = checked(blobs[step.blob], `blob ${step.blob}`);
      const { at, way } = step;
      const push = new BlobPush({ clients: run.clients, at, repository: name, content, way, pause });
      return () => push.attempt();
    }
    case "mount": {
      const from = step.from === null ? "" : `&from=${run.name(step.from)}`;
      return () => send("POST", `blobs/uploads/?mount=${blobs[step.blob]?.digest}${from}`);
    }
    case "put manifest": {
      const { bytes, digest, mediaType } = run.manifest(step.manifest);
      const reference = step.tag === null ? digest : `tag-${step.tag}`;
      return () => send("PUT", `manifests/${reference}`, { "Content-Type": mediaType }, bytes);
    }
    case "delete tag":
      return () => send("DELETE", `manifests/tag-${step.tag}`);
    case "delete manifest":
      return () => send("DELETE", `manifests/${run.manifest(step.manifest).digest}`);
    case "delete blob":
      return () => send("DELETE", `blobs/${blobs[step.blob]?.digest}`);
  }
}

/** How a write went, the last attempt of which `startedAt` a time. `source`: whether there was what it mounts. */
type Course = {
  begunAt: number;
  startedAt: number;
  faults: FaultTarget[];
  wasHeld: boolean;
  source: Certainty;
};

/** Holds the answer to what the model expects, and takes it in. */
function settle(run: Run, step: WriteStep, reply: Reply, course: Course): void {
  const model = run.model(step.repository);
  const expected = model.expected(step, course.source);
  const isExpected = expected.includes(reply.status) || isForgiven(run, step, reply, course);
  run.require(
    isExpected,
    `${describe(step)} is answered with ${reply.status} instead of ${expected.join(" or ")}`,
  );
  model.apply(step, reply.status, course.startedAt);
  if (reply.status < 300 && adopting.has(step.do)) run.policies.noteWrite(step.repository, step.at);
  note(run, step, reply.status, course.startedAt);
}

/** The writes that a policy comes with. */
const adopting: ReadonlySet<WriteStep["do"]> = new Set(["put manifest", "delete tag", "delete manifest"]);

/** Whether a write came to nothing through no fault of the registry's. */
function isForgiven(run: Run, step: WriteStep, { status }: Reply, course: Course): boolean {
  const { begunAt, faults, wasHeld } = course;
  // A mount that fails, for whatever reason, is an upload.
  if (step.do === "mount") return (faults.length > 0 || run.damage.has(step.blob)) && status === 202;
  if (step.do !== "push blob" || status !== 404 || !wasHeld) return false;
  // What a session became is asked for again, and was deleted since.
  const isDeleted = step.way !== "post" && run.model(step.repository).goneAt("blob", step.blob) > begunAt;
  return isDeleted || mayBytesBeGone(run, step, begunAt);
}

/**
 * Bytes that were lent and not linked are given up, and go after a while; so do those that nobody adopted. What was linked,
 * and its client has yet to hear of, is collected when its grace is over.
 */
function mayBytesBeGone(run: Run, { repository }: { repository: number }, pushedAt: number): boolean {
  const { deleteDelaySeconds, graceSeconds } = run.settings;
  const delayMs = run.model(repository).graceMayHaveEndedSince(pushedAt) ? 0 : deleteDelaySeconds * 1000;
  return Date.now() - pushedAt >= Math.min(leaseMs + delayMs, uploadTtlMs, graceSeconds * 1000);
}

/** Whether there is what a write mounts, in the repository that it names, or in any. */
export function sourceOf(run: Run, step: WriteStep): Certainty {
  if (step.do !== "mount") return "no";
  const has = (repository: number) => run.model(repository).blob(step.blob);
  if (step.from !== null) return has(step.from);
  const others = anyOf(run.repositories.filter((each) => each !== step.repository).map(has));
  // One of the others may have given the blob up without its shard having heard: then no other is asked.
  const own = has(step.repository) === "yes" ? "maybe" : has(step.repository);
  // A cache may have it, too: what it has is not known exactly.
  return anyOf([others, own, run.isCacheUsed ? "maybe" : "no"]);
}

/** What the location itself saw go, or come, it must not be wrong about. */
function note(run: Run, step: WriteStep, status: number, askedAt: number): void {
  const { repository, at } = step;
  const isGone = status === 202 || status === 404;
  if (step.do === "delete manifest" && isGone)
    run.noteDeletion(at, run.manifest(step.manifest).digest, repository, askedAt);
  if (step.do === "delete blob" && isGone)
    run.noteDeletion(at, blobs[step.blob]?.digest ?? "", repository, askedAt);
  if (step.do === "put manifest" && status === 201) {
    run.notePush(at, run.manifest(step.manifest).digest, repository);
  }
}

/** Those who watch look at what a write was about. `isPushed`: it is a blob that was acknowledged just now. */
export async function look(run: Run, step: WriteStep, isPushed = false): Promise<void> {
  const { repository } = step;
  await run.world.faults.suspended(async () => {
    for (const at of step.watched ? ([0, 1] as const) : [step.at]) {
      if ("blob" in step) await pullBlob(run, repository, step.blob, at, isPushed);
      if ("manifest" in step) await pullManifest(run, repository, step.manifest, at);
      if ("tag" in step && step.tag !== null) await pullTag(run, repository, step.tag, at, "pusher");
    }
    if (step.watched) await lookAtLists(run, step);
  });
}

/** What a write was about is in the lists, or not any more. */
async function lookAtLists(run: Run, step: WriteStep): Promise<void> {
  const { repository, at } = step;
  const subject = "manifest" in step ? run.manifest(step.manifest).subject : undefined;
  if (subject !== undefined) await listReferrers(run, repository, subject, at);
  if ("tag" in step || "manifest" in step) await listTags(run, repository, at);
}

/** A step, for a message. */
export function describe(step: WriteStep | LeaveUploadStep): string {
  return JSON.stringify(step);
}
