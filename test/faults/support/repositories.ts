/** Deleting a repository as a whole, and undoing that. */

import { choose } from "./certainty.ts";
import { blobs } from "./contents.ts";
import type { Reply } from "./location.ts";
import type { RepositoryStep } from "./program.ts";
import { readEverything } from "./reads.ts";
import type { Run } from "./run.ts";

/** Sends the request; where it was refused for a fault, once more while nothing goes wrong. Then everybody looks. */
export async function changeRepository(run: Run, step: RepositoryStep): Promise<void> {
  const { repository, at } = step;
  const model = run.model(repository);
  const isDeletion = step.do === "delete repository";
  const path = `/api/v1/repositories/${run.name(repository)}`;
  const send = () =>
    isDeletion
      ? run.clients.send(at, "DELETE", path, { as: "administrator" })
      : run.clients.send(at, "POST", `${path}/restore`, { as: "administrator" });
  const startedAt = Date.now();
  const mayHaveBeenDone = () => {
    if (isDeletion) model.deleteAllPerhaps(startedAt);
    else if (model.isRestorable(startedAt) !== "no") model.restore("maybe", startedAt);
  };
  await run.act(
    send,
    async ({ result, faults }) => {
      let reply = result;
      if (reply.status >= 500) {
        run.requireExcused(reply, faults, JSON.stringify(step));
        mayHaveBeenDone();
        reply = await run.world.faults.suspended(send);
      }
      if (isDeletion) settleDeletion(run, step, reply, startedAt);
      else settleRestoration(run, step, reply, startedAt);
      await readEverything(run);
    },
    mayHaveBeenDone,
  );
}

function settleDeletion(run: Run, step: RepositoryStep, { status }: Reply, startedAt: number): void {
  const { repository, at } = step;
  const model = run.model(repository);
  const deleted = choose(model.isBound, [409], [202]);
  const expected = choose(model.exists, deleted, [404]);
  run.require(expected.includes(status), `${JSON.stringify(step)} is answered with ${status}`);
  if (status === 409) return;
  model.deleteAll(startedAt);
  run.policies.forgetRepository(repository);
  for (const { digest } of [...run.manifests, ...blobs]) run.noteDeletion(at, digest, repository, startedAt);
}

function settleRestoration(run: Run, step: RepositoryStep, { status }: Reply, sentAt: number): void {
  const model = run.model(step.repository);
  const expected = choose(model.isRestorable(sentAt), [200], [404]);
  run.require(expected.includes(status), `${JSON.stringify(step)} is answered with ${status}`);
  if (status === 200) model.restore("yes", sentAt);
  else model.cannotRestore();
}
