/** Several clients at once: in which order the registry took them, nobody can say beforehand. */

import type { Certainty } from "./certainty.ts";
import { linearize, type Operation } from "./linearize.ts";
import { digestHeader, type Reply } from "./location.ts";
import type { Place } from "./policed-tags.ts";
import { type FaultTarget, type TagPull, type TogetherStep, tagCount, type WriteStep } from "./program.ts";
import { askForManifest, mayBeStale } from "./reads.ts";
import type { Run } from "./run.ts";
import { attemptsOf, describe, look, sourceOf } from "./writes.ts";

/** What was sent and answered, and when. */
type Answered<Step> = { step: Step; reply: Reply; start: number; end: number };

/** What came of it all. */
type Outcome = { written: Answered<WriteStep>[]; pulled: Answered<TagPull>[]; faults: FaultTarget[] };

/**
 * Sends writes and pulls of tags at once, and has everybody look at what came of them. Who wrote a tag pulls it as soon
 * as that is answered, and who pulls one pulls it twice.
 */
export async function actTogether(run: Run, step: TogetherStep): Promise<void> {
  const startedAt = Date.now();
  const outcome = await run.world.faults.withoutHolding(() => sendTogether(run, step));
  const { written, faults } = outcome;
  const { writes } = step;
  const tags = new Map(
    run.repositories.map((repository) => [
      repository,
      Array.from({ length: tagCount }, (_, tag) => tagsAfter(run, repository, tag, outcome)),
    ]),
  );
  // Each may have come before or after each other one; twice, as what one does depends on what another one did.
  for (const step of [...writes, ...writes]) run.model(step.repository).applyPerhaps(step, startedAt);
  for (const { step, reply } of written) {
    if (reply.status >= 500) {
      run.requireExcused(reply, faults, describe(step));
      if (step.do === "push blob") run.model(step.repository).uploadMayFinish(step.blob);
      continue;
    }
    const expected = run.model(step.repository).expected(step, sourceOf(run, step));
    const isForgiven = step.do === "mount" && (faults.length > 0 || run.damage.has(step.blob));
    const isExpected = expected.includes(reply.status) || isForgiven;
    run.require(isExpected, `${describe(step)}, with others, is answered with ${reply.status}`);
  }
  for (const each of written) takeIn(run, each, writes, startedAt);
  for (const [repository, values] of tags) {
    for (const [tag, after] of values.entries()) run.model(repository).tagIsOneOf(tag, [...after]);
  }
  // Where a push has paused, what another one wrote before may have gone meanwhile.
  run.eachModel((model) => model.retentionMayRun());
  await run.world.faults.suspended(async () => {
    for (const step of writes) {
      if ("manifest" in step) await askForManifest(run, step.repository, step.manifest, step.at);
    }
  });
  for (const step of writes) await look(run, step);
}

async function sendTogether(run: Run, { writes, pulls }: TogetherStep): Promise<Outcome> {
  let moment = 0;
  const written: Answered<WriteStep>[] = [];
  const pulled: Answered<TagPull>[] = [];
  const note = async <Step>(notes: Answered<Step>[], step: Step, send: () => Promise<Reply>) => {
    const start = moment++;
    const reply = await send();
    notes.push({ step, reply, start, end: moment++ });
  };
  const pull = (step: TagPull) => note(pulled, step, () => sendPull(run, step));
  const writers = writes.map(async (step) => {
    await note(written, step, attemptsOf(run, step));
    const { repository, at } = step;
    if ("tag" in step && step.tag !== null) await pull({ repository, at, tag: step.tag, as: "pusher" });
  });
  const readers = pulls.map(async (step) => {
    await pull(step);
    await pull(step);
  });
  const { faults } = await run.counting(() => Promise.all([...writers, ...readers]));
  return { written, pulled, faults };
}

function sendPull(run: Run, { repository, at, tag, as }: TagPull): Promise<Reply> {
  return run.clients.send(at, "GET", `/v2/${run.name(repository)}/manifests/tag-${tag}`, { as });
}

/** What was acknowledged, and nobody deleted meanwhile, is there. */
function takeIn(run: Run, { step, reply }: Answered<WriteStep>, steps: WriteStep[], startedAt: number): void {
  if (reply.status !== 201) return;
  const model = run.model(step.repository);
  const others = steps.filter((other) => other.repository === step.repository);
  if (step.do === "put manifest") {
    const isDeleted = others.some(
      (other) => other.do === "delete manifest" && other.manifest === step.manifest,
    );
    if (!isDeleted) model.apply({ ...step, tag: null }, 201, startedAt);
    run.notePush(step.at, run.manifest(step.manifest).digest, step.repository);
    run.policies.noteWrite(step.repository, step.at);
  } else if ("blob" in step) {
    const isDeleted = others.some((other) => other.do === "delete blob" && other.blob === step.blob);
    if (!isDeleted) model.apply(step, 201, startedAt);
  }
}

// ── Tags ─────────────────────────────────────────────────────────────────────────────────────────────────────────

/** What the policies say of a tag: whether it stays as it is, and what it may be bound to once it is gone. */
type TagPolicy = { isImmutable: Certainty; expired: ReadonlySet<Place> };

/** Where a tag may point after all of it. Who was told what must fit one order of everything. */
function tagsAfter(
  run: Run,
  repository: number,
  tag: number,
  { written, pulled, faults }: Outcome,
): Set<Place> {
  const isImmutable = run.model(repository).policed.isImmutable(tag);
  const expired = run.model(repository).policed.expired(tag);
  const own = <Step extends { repository: number }>({ step }: Answered<Step>) =>
    step.repository === repository;
  const changes = written
    .filter(own)
    .flatMap((each) => changesOf(each, tag, faults, { isImmutable, expired }));
  const reads = pulled
    .filter((each) => own(each) && each.step.tag === tag)
    .flatMap((each) => readOf(run, each, faults));
  const after = linearize(run.model(repository).tag(tag), [...changes, ...reads]);
  run.require(after.size > 0, `what was said of tag ${tag} of repository ${repository} fits no order`);
  return after;
}

/** What a write may have done to a tag. */
function changesOf(
  { step, reply: { status }, start, end }: Answered<WriteStep>,
  tag: number,
  faults: FaultTarget[],
  policy: TagPolicy,
): Operation<Place>[] {
  const change = effectOn(step, status, tag, policy);
  if (change === undefined) return [];
  if (status >= 500) return [{ start, end: Number.POSITIVE_INFINITY, isCertain: false, apply: change }];
  const operation = { start, end, isCertain: true, apply: change };
  // A push whose answer was lost between objects is repeated.
  const isRepeated = status === 201 && faults.includes("LEDGERS");
  return isRepeated ? [operation, { ...operation, isCertain: false }] : [operation];
}

function effectOn(
  step: WriteStep,
  status: number,
  tag: number,
  { isImmutable, expired }: TagPolicy,
): Operation<Place>["apply"] | undefined {
  const isDone = status < 300;
  const isUnknown = status >= 500;
  if (step.do === "put manifest" && step.tag === tag) {
    const { manifest } = step;
    const isOther = (place: Place) => place !== null && place !== manifest;
    if (isDone || isUnknown)
      return (place) => (isImmutable === "yes" && isOther(place) ? undefined : { value: manifest });
    // Refused: it points elsewhere, or did before retention removed it.
    const isBound = (place: Place) => isOther(place) || (place === null && [...expired].some(isOther));
    return status === 409 ? (place) => (isBound(place) ? { value: place } : undefined) : undefined;
  }
  if (step.do === "delete tag" && step.tag === tag && status === 409)
    return (place) => (place === null ? undefined : { value: place });
  if (step.do === "delete tag" && step.tag === tag) {
    return (place) => (isUnknown || isDone === (place !== null) ? { value: null } : undefined);
  }
  if (step.do === "delete manifest") {
    const { manifest } = step;
    return (place) => {
      if (place !== manifest || status === 409) return { value: place };
      return isDone || isUnknown ? { value: null } : undefined;
    };
  }
  return undefined;
}

/** What an answer says of a tag. */
function readOf(run: Run, answered: Answered<TagPull>, faults: FaultTarget[]): Operation<Place>[] {
  const { step, reply, start, end } = answered;
  const what = `tag ${step.tag} of repository ${step.repository}, pulled with others,`;
  if (reply.status >= 500) {
    run.requireExcused(reply, faults, what);
    return [];
  }
  if (reply.headers.has("Warning")) {
    run.require(mayBeStale(faults), `${what} is stale although its ledger was in reach`);
    return [];
  }
  const number = run.manifests.findIndex(({ digest }) => digest === reply.headers.get(digestHeader));
  const told = reply.status === 404 ? null : number;
  return [{ start, end, isCertain: true, apply: (place) => (place === told ? { value: place } : undefined) }];
}
