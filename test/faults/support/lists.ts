/** Listing as clients do. The ledger answers, so that a list is never late. */

import { ask } from "./ask.ts";
import { jsonOf } from "./location.ts";
import { type LocationIndex, tagCount } from "./program.ts";
import type { Run } from "./run.ts";

/** Lists tags. */
export async function listTags(run: Run, repository: number, at: LocationIndex): Promise<void> {
  const { reply } = await ask(run, at, "GET", `/v2/${run.name(repository)}/tags/list`, "reader");
  const what = `the list of tags of repository ${repository}`;
  run.require(reply.status === 200 || reply.status === 404, `${what} is answered with ${reply.status}`);
  const listed = reply.status === 404 ? [] : jsonOf<{ tags: string[] }>(reply).tags;
  for (let tag = 0; tag < tagCount; tag++) {
    const values = run.model(repository).tag(tag);
    const isListed = listed.includes(`tag-${tag}`);
    const isRight = isListed ? values.size > 1 || !values.has(null) : values.has(null);
    run.require(isRight, `${what} is wrong about tag ${tag}`);
    if (!isListed) run.model(repository).tagSeen(tag, null);
  }
}

/** Lists the manifests that have this one as their subject. */
export async function listReferrers(
  run: Run,
  repository: number,
  subject: number,
  at: LocationIndex,
): Promise<void> {
  const path = `/v2/${run.name(repository)}/referrers/${run.manifest(subject).digest}`;
  const { reply } = await ask(run, at, "GET", path, "reader");
  const what = `the list of referrers of manifest ${subject} of repository ${repository}`;
  run.require(reply.status === 200, `${what} is answered with ${reply.status}`);
  const listed = jsonOf<{ manifests: { digest: string }[] }>(reply).manifests.map((entry) => entry.digest);
  for (const [number, manifest] of run.manifests.entries()) {
    const isListed = listed.includes(manifest.digest);
    if (manifest.subject !== subject) {
      run.require(!isListed, `${what} has manifest ${number}, which has another subject`);
      continue;
    }
    const known = run.model(repository).manifest(number);
    run.require(known !== (isListed ? "no" : "yes"), `${what} is wrong about manifest ${number}`);
    run.model(repository).manifestSeen(number, isListed);
  }
}
