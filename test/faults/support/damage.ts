/**
 * What was damaged in the stores behind the registry's back, and what must hold all the same: no wrong bytes are taken
 * for right ones, nothing else is affected, a scrub says what is wrong, and a push of the same content puts it right.
 */
import { replicaKey } from "../../../src/storage/replica.ts";
import { blobs, type Content } from "./contents.ts";
import type { Reply } from "./location.ts";
import { abridged } from "./location.ts";
import { checked } from "./model.ts";
import type { BlobDamage, LocationIndex, RowDamage } from "./program.ts";
import type { Run } from "./run.ts";

/** Blobs up to this size are compared with their digest before they are served: registry/caches.ts. */
const comparedBytes = 64 * 1024;

/** What is damaged in the world of one run. */
export class Damage {
  readonly #blobs = new Map<number, BlobDamage[]>();
  /** Whether anything is, or was until it was repaired. */
  isAny = false;

  /** What happened to a blob: to some objects that had its bytes this, to others that. */
  of(blob: number): BlobDamage[] {
    return this.#blobs.get(blob) ?? [];
  }

  /** Whether a blob is damaged. */
  has(blob: number): boolean {
    return this.#blobs.has(blob);
  }

  /** The numbers of the blobs. */
  get blobs(): number[] {
    return [...this.#blobs.keys()];
  }

  /** Whether this is the digest of one of them. */
  isOf(digest: string | undefined): boolean {
    return this.blobs.some((number) => blobs[number]?.digest === digest);
  }

  /** Damages the bytes of a blob wherever the bucket has them. */
  damageBlob({ world }: Run, number: number, how: BlobDamage): void {
    const { bytes } = checked(blobs[number], `blob ${number}`);
    if (!world.bucket.damage(bytes, how)) return;
    this.#blobs.set(number, [...this.of(number), how]);
    this.isAny = true;
  }

  /** Damages the replica's row of a manifest. */
  damageRow(run: Run, repository: number, manifest: number, how: RowDamage): void {
    const { digest } = run.manifest(manifest);
    const key = replicaKey(run.name(repository), { kind: "manifest", digest });
    if (run.world.kv.damage(key, how)) this.isAny = true;
  }

  /** What was damaged is right again. */
  repaired(): void {
    this.#blobs.clear();
  }
}

/** Pulls a damaged blob: it comes as it should be, breaks off, or is refused. */
export async function pullDamaged(
  run: Run,
  repository: number,
  number: number,
  at: LocationIndex,
): Promise<void> {
  const content = checked(blobs[number], `blob ${number}`);
  const reply = await run.clients.send(at, "GET", `/v2/${run.name(repository)}/blobs/${content.digest}`, {
    as: "reader",
  });
  const what = `blob ${number} of repository ${repository}, which is damaged,`;
  const { status } = reply;
  if (status === 404) {
    run.require(run.model(repository).blob(number) !== "yes", `${what} is not found`);
  } else if (status === 503) {
    run.require(reply.headers.has("Retry-After"), `${what} is refused without Retry-After`);
  } else {
    run.require(status === 200, `${what} is answered with ${status}`);
    const mayBeWrong = run.damage.of(number).includes("altered") && content.bytes.byteLength > comparedBytes;
    run.require(mayBeWrong || !isTakenForRight(reply, content), `${what} is served with other bytes`);
  }
}

/** Whether a client that trusts the answer has other bytes than it asked for. */
function isTakenForRight({ bytes, isWhole }: Reply, content: Content): boolean {
  return isWhole && !Buffer.from(content.bytes).equals(bytes);
}

/** The damaged blobs that somebody links, and of which there are no good bytes anywhere. */
export function badBlobs(run: Run): number[] {
  return run.damage.blobs.filter((number) => {
    const isLinked = run.repositories.some((repository) => run.model(repository).blob(number) === "yes");
    return isLinked && !run.world.bucket.has(checked(blobs[number], `blob ${number}`).bytes);
  });
}

/** Fails unless what was reported, or logged, names each of these blobs. */
export function requireNamed(run: Run, numbers: number[], texts: string[], where: string): void {
  for (const number of numbers) {
    const digest = abridged(checked(blobs[number], `blob ${number}`).digest);
    const isNamed = texts.some((text) => text.includes(digest));
    run.require(
      isNamed,
      `${where} does not name blob ${number}, which is ${run.damage.of(number).join(" and ")}`,
    );
  }
}
