/** The columns of `manifests` with the facts that lists show (facts.ts). */
import { contentKinds, summarise } from "../../oci/manifest-summary.ts";
import { parseDigest } from "../../oci/reference.ts";
import type { ManifestDescription } from "../../rpc/manifest-facts.ts";

/** The facts of a manifest as columns: the names, and the values in their order. */
export const factColumns = ["kind", "content_size", "platforms", "config", "created_at"] as const;

/** The values of {@link factColumns} for a manifest. */
export function factsOf(bytes: Uint8Array, mediaType: string): (string | number | null)[] {
  const { kind, contentBytes, platforms, config, createdAtMs } = summarise(bytes, mediaType);
  const listed = platforms === undefined ? null : JSON.stringify(platforms);
  return [kind, contentBytes, listed, config ?? null, createdAtMs ?? null];
}

/** The columns of a manifest that {@link readFacts} needs. */
export type FactRow = {
  kind: string | null;
  content_size: number | null;
  platforms: string | null;
  config: string | null;
  created_at: number | null;
  pushed_at: number;
  pushed_by: string | null;
  used_day: number | null;
};

/** What the images of an index add to it: their bytes, and the day on which one of them was last used. */
export type Listed = { bytes: number; used_day: number | null };

/** The facts in a row; `listed`: of the images that it lists, if it is an index. */
export function readFacts(row: FactRow, listed: Listed): ManifestDescription {
  const kind = contentKinds.find((each) => each === row.kind);
  const config = parseDigest(row.config ?? "");
  const usedDay = Math.max(row.used_day ?? 0, listed.used_day ?? 0);
  return {
    ...(kind === undefined ? {} : { kind }),
    ...(row.content_size === null ? {} : { contentBytes: boundedSum(row.content_size, listed.bytes) }),
    ...(row.platforms === null ? {} : { platforms: JSON.parse(row.platforms) }),
    ...(config === undefined ? {} : { config }),
    ...(row.created_at === null ? {} : { createdAtMs: row.created_at }),
    pushedAtMs: row.pushed_at,
    ...(row.pushed_by === null ? {} : { pushedBy: row.pushed_by }),
    ...(usedDay === 0 ? {} : { usedDay }),
  };
}

/** Manifests may say any size. */
function boundedSum(one: number, other: number): number {
  return Math.min(one + other, Number.MAX_SAFE_INTEGER);
}
