/**
 * Links a blob that is stored already, for another repository, without fetching it again: after the upstream has said
 * that it has the blob in this one. Only from repositories whose content the upstream, or everybody, may have: an
 * upstream that claims to have every digest must not get what others pushed here.
 */
import { failure } from "../../oci/errors.ts";
import type { RepositoryName } from "../../oci/reference.ts";
import { addressByName } from "../../oci/upstream.ts";
import { commitMount } from "../../rpc/commit-blob.ts";
import type { BlobAnswer, BlobQuestion } from "../../rpc/fetch-channel.ts";
import { repositoryStub, shardStub } from "../../rpc/stubs.ts";
import { askUpstream, failureOf } from "./ask.ts";
import type { FetchHost } from "./host.ts";

/** How many holders of a digest are looked at. */
const maxHolders = 32;

/** Links the blob if that is possible, or answers that the upstream does not have it; `undefined`: it is to be fetched. */
export async function linkKnown(
  host: FetchHost,
  question: BlobQuestion,
  born: number,
): Promise<BlobAnswer | undefined> {
  const { env, clock, settings } = host;
  const { repository, upstream, name, digest, origin } = question;
  const holders = await shardStub(env, digest).holders(digest, maxHolders);
  for (const holder of holders) {
    if (!(await mayGiveTo(holder))) continue;
    const location = await repositoryStub(env, holder).locateBlob(digest, false);
    if (location === undefined) continue;
    const asked = await askUpstream(host, question, `${name}@${digest}`, "blob", (remote) =>
      remote.statBlob(digest),
    );
    // It may have no HEAD.
    if (!asked.ok && asked.outcome === "invalid") return undefined;
    if (!asked.ok) return failureOf(asked, question, failure("BLOB_UNKNOWN", { digest }));
    const committer = { objects: env, clock };
    const mounted = await commitMount(committer, repository, digest, holder, origin, born);
    return mounted.ok ? { ok: true, how: "linked" } : undefined;
  }
  return undefined;

  /** Whether what a repository holds may be read through the upstream: it is a cache of it, or public. */
  async function mayGiveTo(holder: RepositoryName): Promise<boolean> {
    const info = await repositoryStub(env, holder).info();
    if (info === undefined) return false;
    if (info.kind !== "cache") return info.visibility === "public";
    const cached = addressByName(settings.upstreams, holder)?.cached;
    return (
      cached !== undefined && (cached.upstream.id === upstream || cached.upstream.visibility === "public")
    );
  }
}
