/** Policies, the runs of retention that wait, and what is restored, as administrators and clients do it. */

import { jsonOf, type Reply, type SendOptions } from "./location.ts";
import { documents } from "./policy-documents.ts";
import type { PolicyStep } from "./program.ts";
import { tagCount } from "./program.ts";
import { pullManifest, pullTag } from "./reads.ts";
import type { Run } from "./run.ts";

/** Does what the step says. */
export async function police(run: Run, step: PolicyStep): Promise<void> {
  switch (step.do) {
    case "put policies":
      return putPolicies(run, step);
    case "confirm run":
      return confirmRun(run, step.repository, step.at);
    case "hold tag":
    case "release tag":
      return holdTag(run, step);
    case "restore tag":
      return restoreTag(run, step);
    case "restore manifest":
      return restoreManifest(run, step);
  }
}

type Step<What extends PolicyStep["do"]> = Extract<PolicyStep, { do: What }>;

function json(body: object): SendOptions {
  const headers = { "Content-Type": "application/json" };
  return { headers, body: new TextEncoder().encode(JSON.stringify(body)) };
}

/** Sends a request, and again if it was refused for a fault, while nothing goes wrong; then it is known what came of it. */
async function settled(
  run: Run,
  what: string,
  send: () => Promise<Reply>,
  takeIn: (reply: Reply, isRepeated: boolean) => void | Promise<void>,
  mayHaveBeenDone: () => void = () => {},
): Promise<void> {
  await run.act(
    send,
    async ({ result, faults }) => {
      if (result.status < 500) return takeIn(result, false);
      run.requireExcused(result, faults, what);
      mayHaveBeenDone();
      await takeIn(await run.world.faults.suspended(send), true);
    },
    mayHaveBeenDone,
  );
}

async function putPolicies(run: Run, { at, document }: Step<"put policies">): Promise<void> {
  const done = run.policies.begin(document, at);
  const options = { ...json({ rules: documents[document] }), as: "administrator" } as const;
  const send = () => run.clients.send(at, "PUT", "/api/v1/policies", options);
  await settled(run, "a new document", send, ({ status }) => {
    run.require(status === 200, `a new document is answered with ${status}`);
    done();
  });
}

/** Confirms the run of a repository, if one waits. */
async function confirmRun(run: Run, repository: number, at: 0 | 1): Promise<void> {
  const path = `/api/v1/repositories/${run.name(repository)}/policy/confirm`;
  run.model(repository).policed.confirmed();
  await settled(
    run,
    "a confirmation",
    () => run.clients.send(at, "POST", path, { as: "administrator" }),
    ({ status }) =>
      run.require([202, 404, 409].includes(status), `a confirmation is answered with ${status}`),
  );
}

/** Confirms all runs that wait. Returns how many there were. */
export async function confirmAll(run: Run): Promise<number> {
  const reply = await run.clients.send(0, "GET", "/api/v1/policies/waiting", { as: "administrator" });
  const { runs } = jsonOf<{ runs: { repository: string }[] }>(reply);
  for (const { repository } of runs) {
    const number = run.repositories.findIndex((each) => run.name(each) === repository);
    await confirmRun(run, number, 0);
  }
  return runs.length;
}

async function holdTag(run: Run, step: Step<"hold tag" | "release tag">): Promise<void> {
  const { repository, tag, at } = step;
  const isHold = step.do === "hold tag";
  const model = run.model(repository);
  const path = `/api/v1/repositories/${run.name(repository)}/tags/tag-${tag}/hold`;
  const perhaps = () => model.policed.held(tag, "maybe");
  if (!isHold) perhaps();
  await settled(
    run,
    JSON.stringify(step),
    () => run.clients.send(at, isHold ? "PUT" : "DELETE", path, { as: "administrator" }),
    ({ status }, isRepeated) => {
      const mayExist = [...model.tag(tag)].some((value) => value !== null);
      const mayBeGone = model.tag(tag).has(null) || model.exists !== "yes";
      const expected = isHold ? [...(mayExist ? [200] : []), ...(mayBeGone ? [404] : [])] : [204, 404];
      run.require(
        expected.includes(status) || isRepeated,
        `${JSON.stringify(step)} is answered with ${status}`,
      );
      if (status < 300 || !isHold) model.policed.held(tag, isHold ? "yes" : "no");
    },
    perhaps,
  );
}

/** Puts a tag back to what it pointed at before. */
async function restoreTag(run: Run, step: Step<"restore tag">): Promise<void> {
  const { repository, tag, at } = step;
  const model = run.model(repository);
  const path = `/api/v1/repositories/${run.name(repository)}/tags/tag-${tag}/restore`;
  const startedAt = Date.now();
  const due = model.mustComeBack(tag);
  const what = JSON.stringify(step);
  // A repeated request goes back once more.
  const perhaps = () => {
    const all = run.manifests.keys().filter((number) => model.manifest(number) !== "no");
    model.policed.moved(tag, startedAt, false);
    model.tagIsOneOf(tag, [...new Set([...model.tag(tag), ...all])]);
  };
  await run.act(
    () => run.clients.send(at, "POST", path, { as: "administrator" }),
    async ({ result: reply, faults }) => {
      const { status } = reply;
      if (status >= 500) {
        run.requireExcused(reply, faults, what);
        perhaps();
      } else if (status === 200) {
        const { digest } = jsonOf<{ digest: string }>(reply);
        const number = run.manifests.findIndex((manifest) => manifest.digest === digest);
        run.require(number >= 0 && model.manifest(number) !== "no", `${what} restores what is not there`);
        const refused = model.policed.refusesPush(tag, number, model.tag(tag));
        run.require(refused !== "yes", `${what} moves a tag that must stay`);
        run.require(due === undefined || due === number, `${what} restores something else than was removed`);
        model.tagRestored(tag, number, startedAt);
        run.policies.noteWrite(repository, at);
      } else {
        const isBound = status === 409 && model.policed.isImmutable(tag) !== "no";
        run.require(isBound || status === 404, `${what} is answered with ${status}`);
        run.require(due === undefined, `${what} does not bring back what retention removed`);
      }
      await lookAtTags(run, repository, [tag]);
    },
    perhaps,
  );
}

/** Looks where tags are now, from everywhere, while nothing goes wrong. */
async function lookAtTags(run: Run, repository: number, tags: number[]): Promise<void> {
  await run.world.faults.suspended(async () => {
    for (const at of [0, 1] as const)
      for (const tag of tags) await pullTag(run, repository, tag, at, "pusher");
  });
}

/** Restores a manifest that was deleted, with its tags. */
async function restoreManifest(run: Run, step: Step<"restore manifest">): Promise<void> {
  const { repository, manifest, at } = step;
  const model = run.model(repository);
  const path = `/api/v1/repositories/${run.name(repository)}/manifests/${run.manifest(manifest).digest}/restore`;
  const startedAt = Date.now();
  const what = JSON.stringify(step);
  await settled(
    run,
    what,
    () => run.clients.send(at, "POST", path, { as: "administrator" }),
    async (reply, isRepeated) => {
      const { certainty, tags } = model.restorable(manifest);
      if (reply.status === 404) {
        run.require(certainty !== "yes", `${what} does not bring back what was deleted`);
      } else {
        run.require(reply.status === 200, `${what} is answered with ${reply.status}`);
        const listed = jsonOf<{ tags: string[] }>(reply).tags.map((tag) => Number(tag.slice("tag-".length)));
        const lost = tags.filter((tag) => !listed.includes(tag));
        run.require(isRepeated || lost.length === 0, `${what} does not bring back tag ${lost.join(", ")}`);
        for (const tag of listed) {
          const refused = model.policed.refusesPush(tag, manifest, model.tag(tag));
          run.require(isRepeated || refused !== "yes", `${what} moves a tag that must stay`);
        }
        model.manifestRestored(manifest, listed, startedAt);
        run.policies.noteWrite(repository, at);
      }
      await run.world.faults.suspended(() => pullManifest(run, repository, manifest, at));
      await lookAtTags(run, repository, [...Array(tagCount).keys()]);
    },
    () => {
      model.applyPerhaps({ ...step, do: "put manifest", watched: false, tag: null }, startedAt);
      for (let tag = 0; tag < tagCount; tag++) {
        if (!model.tag(tag).has(null)) continue;
        model.policed.moved(tag, startedAt, false);
        model.tagPerhaps(tag, manifest);
      }
    },
  );
}
