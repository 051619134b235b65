/** What administrators do with all that is stored: `/api/v1/gc`, `usage`, `scrub` and `replica/rebuild`. */
import { failure } from "../../../oci/errors.ts";
import { parsePage } from "../../../oci/http.ts";
import { collect, readUsage } from "../../../registry/collection.ts";
import { listRestorable } from "../../../registry/restore.ts";
import { rebuildReplica, scrub } from "../../../registry/scrub.ts";
import { audit } from "../../auth/audit.ts";
import { type Answer, type Context, jsonReply } from "../../context.ts";
import { linkHeader } from "../../respond.ts";
import { invalidField, readCursor } from "./json-body.ts";

/** The most repositories that are asked what they hold for one page. */
const maxUsagePage = 500;

/**
 * Collects what is due, or with `now` all that is deleted or unreferenced, and says what that freed; with a `cursor` where
 * there is more to do.
 */
export async function postGc(context: Context): Promise<Answer> {
  const read = await readCursor(context, ["now"]);
  if (!read.ok) return { failure: read };
  const { cursor, json } = read;
  const { now = false } = json;
  if (typeof now !== "boolean") return { failure: invalidField("now", "true or false") };
  const collected = await collect(context.registry, cursor, now);
  if (!collected.ok) return { failure: collected };
  const { freed, keptUntilMs } = collected;
  const action = now ? "gc.now" : "gc";
  audit(context, { action, target: "*", outcome: "done", detail: JSON.stringify(freed) });
  const keptMs = Math.max(0, keptUntilMs - context.registry.clock.now());
  return jsonReply({ freed, keptForSeconds: Math.ceil(keptMs / 1000), cursor: collected.cursor });
}

/** Lists what was deleted and can come back, by repository: what a collection with `now` would end. */
export async function getRestorable({ registry, url }: Context): Promise<Answer> {
  const asked = parsePage(url.searchParams);
  if (asked === undefined) return { failure: failure("PAGE_INVALID") };
  const page = { ...asked, limit: Math.min(asked.limit, maxUsagePage) };
  const { entries, last } = await listRestorable(registry, page);
  const repositories = entries.map(({ manifests, ...entry }) => ({
    ...entry,
    manifests: manifests.map(({ sizeBytes, ...manifest }) => ({ ...manifest, size: sizeBytes })),
  }));
  return jsonReply({ repositories }, linkHeader(url, page, last !== undefined && page.limit > 0, last));
}

/** Says what each repository holds, and, on the first page, what all of them do. */
export async function getUsage({ registry, url }: Context): Promise<Answer> {
  const asked = parsePage(url.searchParams);
  if (asked === undefined) return { failure: failure("PAGE_INVALID") };
  const page = { ...asked, limit: Math.min(asked.limit, maxUsagePage) };
  const { entries, more, total } = await readUsage(registry, page);
  return jsonReply(
    { repositories: entries, total },
    linkHeader(url, page, more && page.limit > 0, entries.at(-1)?.name),
  );
}

/** Reads and compares what is stored; says what was put right, what cannot be, what would be refused today, and what was left out. */
export async function postScrub(context: Context): Promise<Answer> {
  const read = await readCursor(context);
  if (!read.ok) return { failure: read };
  const scrubbed = await scrub(context.registry, read.cursor);
  if (!scrubbed.ok) return { failure: scrubbed };
  const { report, cursor } = scrubbed;
  const { repaired, problems, refused, unchecked } = report;
  const detail = `${repaired.length} repaired, ${problems.length} problems, ${refused.length} refused today, ${unchecked.length} left out`;
  audit(context, { action: "scrub", target: "*", outcome: "done", detail });
  return jsonReply({ ...report, cursor });
}

/** Lets the replica be written anew, while pulls go on. */
export async function postRebuild(context: Context): Promise<Answer> {
  const read = await readCursor(context);
  if (!read.ok) return { failure: read };
  const rebuilt = await rebuildReplica(context.registry, read.cursor);
  if (!rebuilt.ok) return { failure: rebuilt };
  const { repositories, removed, cursor } = rebuilt;
  audit(context, { action: "replica.rebuild", target: "*", outcome: "done" });
  return jsonReply({ repositories, removed, cursor });
}
