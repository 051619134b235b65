/** `/api/v1/repositories/{name}/…`: what a repository has, how its tags moved, and putting things back. */
import type { TagRestore } from "../../../objects/upkeep.ts";
import { parseDigest } from "../../../oci/digest.ts";
import { type Failure, failure, type Result } from "../../../oci/errors.ts";
import type { Verb } from "../../../oci/grant.ts";
import { parsePage } from "../../../oci/http.ts";
import { parseTag, type RepositoryName } from "../../../oci/name.ts";
import { listManifests, restoreManifest, restoreTag, tagHistory } from "../../../registry/restore.ts";
import { audit } from "../../auth/audit.ts";
import { refusalFor } from "../../auth/authorise.ts";
import { type Answer, type Context, eventOrigin, jsonReply, type Refusal } from "../../context.ts";
import { linkHeader } from "../../respond.ts";
import { invalidField, parseRepository, readJson } from "./json-body.ts";

const maxPage = 1000;

/** The repository of the path, if the caller may do this with it; else the answer. */
async function authorised(
  context: Context,
  verb: Verb,
): Promise<{ repository: RepositoryName } | { refusal: Refusal }> {
  const named = parseRepository(context.params.name);
  if (!named.ok) return { refusal: { failure: named } };
  const refusal = await refusalFor(context, named.repository, verb);
  return refusal === undefined ? named : { refusal };
}

/** Lists all manifests of a repository, tagged or not. */
export async function getManifests(context: Context): Promise<Answer> {
  const { registry, url } = context;
  const known = await authorised(context, "pull");
  if ("refusal" in known) return known.refusal;
  const asked = parsePage(url.searchParams);
  if (asked === undefined) return { failure: failure("PAGE_INVALID") };
  const page = { ...asked, limit: Math.min(asked.limit, maxPage) };
  const listed = await listManifests(registry, known.repository, page);
  if (!listed.ok) return { failure: listed };
  const { entries, more } = listed.page;
  const manifests = entries.map(({ sizeBytes, pushedAtMs, ...entry }) => ({
    ...entry,
    size: sizeBytes,
    pushedAt: new Date(pushedAtMs).toISOString(),
  }));
  return jsonReply({ manifests }, linkHeader(url, page, more, entries.at(-1)?.digest));
}

/** Lists the moves of a tag, newest first; `last` is the sequence number to go on from. */
export async function getTagHistory(context: Context): Promise<Answer> {
  const { registry, url, params } = context;
  const known = await authorised(context, "pull");
  if ("refusal" in known) return known.refusal;
  const tag = parseTag(params.tag ?? "");
  if (tag === undefined) return { failure: failure("TAG_INVALID", { tag: params.tag }) };
  const asked = parsePage(url.searchParams);
  const before = asked === undefined || asked.last === "" ? Number.MAX_SAFE_INTEGER : Number(asked.last);
  if (asked === undefined || !Number.isSafeInteger(before)) return { failure: failure("PAGE_INVALID") };
  const page = { ...asked, limit: Math.min(asked.limit, maxPage) };
  const listed = await tagHistory(registry, known.repository, tag, before, page.limit);
  if (!listed.ok) return { failure: listed };
  const { entries, more } = listed.page;
  const history = entries.map(({ sequence, atMs, actor, from, to }) => {
    return { sequence, time: new Date(atMs).toISOString(), actor, from, to };
  });
  return jsonReply({ history }, linkHeader(url, page, more, entries.at(-1)?.sequence.toString()));
}

/** Puts a tag back to a digest of its history, to what a move led to, or to what was before what is now. */
export async function postTagRestore(context: Context): Promise<Answer> {
  const { registry, params } = context;
  const known = await authorised(context, "push");
  if ("refusal" in known) return known.refusal;
  const { repository } = known;
  const tag = parseTag(params.tag ?? "");
  if (tag === undefined) return { failure: failure("TAG_INVALID", { tag: params.tag }) };
  const wanted = await readRestore(context);
  if (!wanted.ok) return { failure: wanted };
  const restored = await restoreTag(registry, repository, tag, wanted.restore, eventOrigin(context));
  if (!restored.ok) return { failure: restored };
  const { digest, sequence } = restored;
  audit(context, { action: "tag.restore", target: `${repository}:${tag}`, outcome: "done", detail: digest });
  return jsonReply({ tag, digest, sequence });
}

async function readRestore(context: Context): Promise<Failure | Result<{ restore: TagRestore }>> {
  const body = await readJson(context, ["digest", "sequence"], true);
  if (!body.ok) return body;
  const { digest: text, sequence } = body.json;
  if (text !== undefined && sequence !== undefined) {
    return failure("REQUEST_INVALID", "digest and sequence exclude each other");
  }
  if (sequence !== undefined) {
    if (typeof sequence !== "number" || !Number.isSafeInteger(sequence) || sequence < 1) {
      return invalidField("sequence", "a sequence number of the history");
    }
    return { ok: true, restore: { sequence } };
  }
  if (text === undefined) return { ok: true, restore: {} };
  if (typeof text !== "string") return invalidField("digest", "a text");
  const digest = parseDigest(text);
  return digest === undefined
    ? failure("DIGEST_INVALID", { digest: text })
    : { ok: true, restore: { digest } };
}

/** Puts a deleted manifest back, with its tags. */
export async function postManifestRestore(context: Context): Promise<Answer> {
  const { registry, params } = context;
  const known = await authorised(context, "push");
  if ("refusal" in known) return known.refusal;
  const { repository } = known;
  const digest = parseDigest(params.digest ?? "");
  if (digest === undefined) return { failure: failure("DIGEST_INVALID", { digest: params.digest }) };
  const restored = await restoreManifest(registry, repository, digest, eventOrigin(context));
  if (!restored.ok) return { failure: restored };
  audit(context, { action: "manifest.restore", target: `${repository}@${digest}`, outcome: "done" });
  return jsonReply({ digest, tags: restored.tags });
}
