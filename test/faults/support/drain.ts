/**
 * The end of a program: everything that is waited for comes, and is done. Then nothing may be missing, and nothing left
 * over: not in the bucket, and not in the replica.
 */

import { replicaKey } from "../../../src/storage/replica.ts";
import { textReplica } from "../../support/text-replica.ts";
import { administrate, scrub } from "./admin.ts";
import { blobs } from "./contents.ts";
import { badBlobs, requireNamed } from "./damage.ts";
import { jsonOf } from "./location.ts";
import { confirmAll } from "./policing.ts";
import { tagCount } from "./program.ts";
import { readEverything, settleUncertainties } from "./reads.ts";
import type { Run } from "./run.ts";
import { endUpstream } from "./upstream-pulls.ts";
import { advanceClock } from "./world.ts";
import { write } from "./writes.ts";

/** Longer than uploads, grace, leases, deletions and tombstones take one after the other, in milliseconds. */
const horizonMs = 4 * 3600 * 1000;

/** Long enough for what is repaired to be known everywhere, and for the registry to have scrubbed everything. */
const minutesMs = 5 * 60 * 1000;
const hoursMs = 3 * 3600 * 1000;

/** Longer than what tags are kept for, and two runs of retention. */
const retentionMs = 35 * 60 * 1000;

const maxConfirmations = 5;

const maxRounds = 400;

/** Alarms may come late: those that are due soon after another one come with it, in milliseconds. */
const roundMs = 10_000;

/**
 * What is damaged is named, by a scrub that somebody asks for or that the registry does by itself, and put right by a
 * push of the same content to one of the repositories that have it.
 */
async function repair(run: Run): Promise<void> {
  const { world, damage } = run;
  await pass(run, minutesMs);
  if (run.settings.scrubsItself) {
    const before = world.trace.length;
    await pass(run, hoursMs);
    const logged = world.trace.slice(before).filter((line) => line.includes("scrub found"));
    requireNamed(run, badBlobs(run), logged, "what the registry found by itself");
  } else {
    await administrate(run, { do: "scrub" });
  }
  world.bucket.heal();
  // What retention may have removed meanwhile is there or is not.
  await settleUncertainties(run);
  for (const blob of damage.blobs) {
    const repository = run.repositories.find((each) => run.model(each).referenced(blob) === "yes");
    const push = { do: "push blob", at: 0, watched: false, blob, way: "post", pauseSeconds: 0 } as const;
    if (repository !== undefined) await write(run, { ...push, repository });
  }
  damage.repaired();
}

/** Lets time pass, and does what becomes due in it. */
async function pass(run: Run, milliseconds: number): Promise<void> {
  const { objects } = run.world;
  const end = Date.now() + milliseconds;
  for (let round = 0; Date.now() < end; round++) {
    run.require(round < maxRounds, "there is no end to what is due");
    const next = Math.min(end, objects.nextAlarm ?? end);
    advanceClock(Math.max(next - Date.now(), roundMs));
    await objects.runDueAlarms("all");
    run.eachModel((model) => model.retentionMayRun());
  }
}

/** Confirms what retention waits with, until it waits with nothing more: then all is gone that has to go. */
async function endRetention(run: Run): Promise<void> {
  for (let round = 0; round === 0 || (await confirmAll(run)) > 0; round++) {
    run.require(round < maxConfirmations, "retention waits again and again");
    await pass(run, retentionMs);
  }
}

/** What the last document removes is not there. */
function checkRetention(run: Run): void {
  for (const repository of run.repositories) {
    const left = run.model(repository).tagsThatMustGo(run.policies.last(run.name(repository)));
    run.require(
      left.length === 0,
      `tag ${left.join(", ")} of repository ${repository} should have been removed`,
    );
  }
}

/** Lets everything become due, and checks what is left. */
export async function drain(run: Run): Promise<void> {
  const { world } = run;
  world.faults.heal();
  world.trace.push("the end: everything that is due is done");
  for (const at of [0, 1] as const) world.kv.setLag(at, 0);
  await world.faults.slowCallsEnd();
  await world.faults.delayed.letGo("all");
  await world.objects.alarmsEnd();
  while (run.isUnanswered) await run.takeInAnswers();
  await world.objects.wake();
  await settleUncertainties(run);
  if (run.damage.isAny) await repair(run);
  world.bucket.heal();
  if (run.policies.isAny) await endRetention(run);
  if (run.isCacheUsed) await endUpstream(run, () => pass(run, minutesMs));
  await pass(run, horizonMs);
  if (run.mayBeReplaced) {
    await scrub(run);
    await pass(run, minutesMs);
  }
  for (const repository of run.repositories) run.model(repository).uploadsSettled();
  await settleUncertainties(run);
  await readEverything(run);
  checkRetention(run);
  await checkDeleted(run);
  checkBucket(run);
  if (!run.settings.isOneMachine) await checkReplica(run);
  const wrong = await scrub(run);
  run.require(wrong.length === 0, `a scrub found something to repair: ${JSON.stringify(wrong)}`);
  for (const group of ["UPLOADS", "FETCHES"] as const)
    run.require(!world.objects.hasAlarms(group), `there is something left to do about ${group}`);
}

/** Nothing can be restored any more; tags can, as long as their history is kept. */
async function checkDeleted(run: Run): Promise<void> {
  const reply = await run.clients.send(0, "GET", "/api/v1/deleted", { as: "administrator" });
  const { repositories } = jsonOf<{ repositories: { deleted: { what: string }[] }[] }>(reply);
  const left = repositories.flatMap(({ deleted }) => deleted).filter(({ what }) => what !== "tag");
  run.require(left.length === 0, `what was deleted is kept for ever: ${JSON.stringify(left)}`);
}

function checkBucket(run: Run): void {
  const { bucket } = run.world;
  const models = run.repositories.map((repository) => run.model(repository));
  const kept = [...blobs.keys()].filter((blob) => models.some((model) => model.referenced(blob) === "yes"));
  for (const [repository, model] of models.entries()) {
    for (const blob of blobs.keys()) {
      const isUseless = model.blob(blob) === "yes" && model.referenced(blob) !== "yes";
      run.require(!isUseless, `blob ${blob} of repository ${repository} is kept, and nothing references it`);
    }
  }
  const keys = bucket.keys();
  run.require(keys.length === kept.length, `the bucket holds ${keys.length} blobs instead of ${kept.length}`);
  run.require(bucket.openUploads === 0, `${bucket.openUploads} multipart uploads are open`);
}

async function checkReplica(run: Run): Promise<void> {
  const rows = run.world.kv.rows();
  // Nothing lags any more, so that a location sees what there is.
  const replica = textReplica(run.world.kv.binding(0));
  const keys = new Set(run.world.bucket.keys());
  for (const repository of run.repositories) {
    const name = run.name(repository);
    const model = run.model(repository);
    const expect = (key: Parameters<typeof replicaKey>[1], isThere: boolean) => {
      const text = replicaKey(name, key);
      run.require(rows.delete(text) === isThere, `the replica ${isThere ? "lacks" : "still has"} ${text}`);
    };
    for (const [number, { digest }] of run.manifests.entries()) {
      const isThere = model.manifest(number) === "yes";
      expect({ kind: "manifest", digest }, isThere);
      const row = isThere ? await replica.manifest(name, digest) : undefined;
      const lost = row?.plan.find((location) => !keys.has(location.key));
      run.require(lost === undefined, `the plan of manifest ${number} names a key that is not there`);
    }
    for (let tag = 0; tag < tagCount; tag++) {
      const [value = null] = model.tag(tag);
      expect({ kind: "tag", tag: `tag-${tag}` }, value !== null);
      const row = value === null ? undefined : await replica.tag(name, `tag-${tag}`);
      const isRight = value === null || row?.digest === run.manifest(value).digest;
      run.require(isRight, `the replica has tag ${tag} of repository ${repository} elsewhere`);
    }
    for (const [number, { digest }] of blobs.entries()) {
      const isThere = model.referenced(number) === "yes";
      expect({ kind: "blob", digest }, isThere);
      const row = isThere ? await replica.blob(name, digest) : undefined;
      run.require(
        row === undefined || keys.has(row.key),
        `the row of blob ${number} names a key that is not there`,
      );
    }
  }
  run.require(rows.size === 0, `the replica has other rows: ${[...rows.keys()].join(" ")}`);
}
