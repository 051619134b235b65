/** Restores all that was deleted since a time: manifests first, as tags need them. */
import type { Deletion } from "../contract/deleted.ts";
import type { Api } from "./api.ts";
import { CommandError } from "./errors.ts";

/** What is to be restored: what was deleted since a time, by somebody or by anybody. */
export type Wanted = { sinceMs: number; by: string | undefined };

/** What was restored of a repository, and what could not be. */
export type RestoredIn = { name: string; manifests: string[]; tags: string[]; failed: string[] };

/** The repositories in which something was deleted. */
export async function repositoriesWithDeletions(api: Api): Promise<string[]> {
  const names: string[] = [];
  for await (const { repositories } of api.pages("/deleted", { query: { n: "100" } }))
    names.push(...repositories.map(({ name }) => name));
  return names;
}

/** Restores what is wanted in a repository. What nobody deleted as wanted stays as it is. */
export async function restoreIn(api: Api, name: string, wanted: Wanted): Promise<RestoredIn> {
  const restored: RestoredIn = { name, manifests: [], tags: [], failed: [] };
  let left = await deletionsIn(api, name, wanted, "manifest");
  // An index comes back after what it lists.
  for (let before = left.length + 1; left.length > 0 && left.length < before; ) {
    before = left.length;
    const failed: typeof left = [];
    for (const deletion of left) {
      const params = { name, digest: deletion.digest };
      const back = await unlessRefused(
        api.send("POST", "/repositories/{name}/manifests/{digest}/restore", { params }),
      );
      if (back === undefined) failed.push(deletion);
      else {
        restored.manifests.push(deletion.digest);
        restored.tags.push(...back.tags);
      }
    }
    left = failed;
  }
  restored.failed.push(...left.map(({ digest }) => digest));
  for (const { tag, digest } of await deletionsIn(api, name, wanted, "tag")) {
    const sent = { params: { name, tag }, body: { digest } };
    const back = await unlessRefused(api.send("POST", "/repositories/{name}/tags/{tag}/restore", sent));
    (back === undefined ? restored.failed : restored.tags).push(tag);
  }
  return restored;
}

/** What was deleted as wanted: the digest of a manifest, or a tag with the digest that it pointed at. */
async function deletionsIn(
  api: Api,
  name: string,
  { sinceMs, by }: Wanted,
  what: Deletion["what"],
): Promise<{ tag: string; digest: string }[]> {
  const sent = { params: { name }, query: { n: "1000" } };
  const found = await api.list("/repositories/{name}/deleted", "deleted", sent);
  return found.flatMap(({ tag = "", digest = "", ...each }) => {
    const isBy = by === undefined || each.actor === by;
    return each.what === what && isBy && Date.parse(each.deletedAt) >= sinceMs ? [{ tag, digest }] : [];
  });
}

/** The answer; `undefined` if the registry refuses it, as what it needs is not there, or something else is. */
async function unlessRefused<T>(answer: Promise<T>): Promise<T | undefined> {
  try {
    return await answer;
  } catch (error) {
    if (error instanceof CommandError && (error.status === 404 || error.status === 409)) return undefined;
    throw error;
  }
}
