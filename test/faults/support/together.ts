/** Several clients that write at once: in which order, nobody can say beforehand. */
import type { Reply } from "./location.ts";
import { tagCount, type WriteStep } from "./program.ts";
import { askForManifest } from "./reads.ts";
import type { Run } from "./run.ts";
import { attemptsOf, describe, look, sourceOf } from "./writes.ts";

type Answered = { step: WriteStep; reply: Reply };

/** Sends writes at once, and has everybody look at what came of them. */
export async function writeTogether(run: Run, steps: WriteStep[]): Promise<void> {
  const startedAt = Date.now();
  const { result: replies, faults } = await run.counting(() =>
    Promise.all(
      steps.map(async (step): Promise<Answered> => ({ step, reply: await attemptsOf(run, step)() })),
    ),
  );
  // Each may have come before or after each other one; twice, as what one does depends on what another one did.
  for (const step of [...steps, ...steps]) run.model(step.repository).applyPerhaps(step, startedAt);
  for (const { step, reply } of replies) {
    if (reply.status >= 500) {
      run.requireExcused(reply, faults, describe(step));
      if (step.do === "push blob") run.model(step.repository).uploadMayFinish(step.blob);
      continue;
    }
    const expected = run.model(step.repository).expected(step, sourceOf(run, step));
    const isExpected = expected.includes(reply.status) || (step.do === "mount" && faults.length > 0);
    run.require(isExpected, `${describe(step)}, with others, is answered with ${reply.status}`);
  }
  for (const answered of replies) takeIn(run, answered, steps, startedAt);
  takeInTags(run, replies);
  await run.world.faults.suspended(async () => {
    for (const step of steps) {
      if ("manifest" in step) await askForManifest(run, step.repository, step.manifest, step.at);
    }
  });
  for (const step of steps) await look(run, step);
}

/** What was acknowledged, and nobody deleted meanwhile, is there. */
function takeIn(run: Run, { step, reply }: Answered, steps: WriteStep[], startedAt: number): void {
  if (reply.status !== 201) return;
  const model = run.model(step.repository);
  const others = steps.filter((other) => other.repository === step.repository);
  if (step.do === "put manifest") {
    const isDeleted = others.some(
      (other) => other.do === "delete manifest" && other.manifest === step.manifest,
    );
    if (!isDeleted) model.apply({ ...step, tag: null }, 201, startedAt);
    run.notePush(step.at, run.manifest(step.manifest).digest, step.repository);
  } else if ("blob" in step) {
    const isDeleted = others.some((other) => other.do === "delete blob" && other.blob === step.blob);
    if (!isDeleted) model.apply(step, 201, startedAt);
  }
}

/** A tag that was moved points where one of the moves put it, unless it was deleted as well. */
function takeInTags(run: Run, replies: Answered[]): void {
  for (const repository of new Set(replies.map(({ step }) => step.repository))) {
    const own = replies.filter(({ step }) => step.repository === repository);
    for (let tag = 0; tag < tagCount; tag++) {
      const moves = own.flatMap(({ step, reply }) =>
        step.do === "put manifest" && step.tag === tag ? [{ to: step.manifest, status: reply.status }] : [],
      );
      if (!moves.some(({ status }) => status === 201)) continue;
      const values = moves.filter(({ status }) => status === 201 || status >= 500).map(({ to }) => to);
      const isDeleted = own.some(
        ({ step }) =>
          (step.do === "delete tag" && step.tag === tag) ||
          (step.do === "delete manifest" && values.includes(step.manifest)),
      );
      run.model(repository).tagIsOneOf(tag, isDeleted ? [...values, null] : values);
    }
  }
}
