/**
 * Manifests of cached repositories, by tag and by digest. What the ledger says is read before the question, and what the
 * upstream answered is stored only if that is still so; else the answer is given from memory alone.
 */
import { RegistryError } from "../../client/errors.ts";
import type { FetchedManifest as RemoteManifest, RemoteRepository } from "../../client/repository.ts";
import { type Failure, failure } from "../../oci/errors.ts";
import { readManifest } from "../../oci/manifest.ts";
import type { ManifestFacts } from "../../oci/manifest-fields.ts";
import { algorithmOf, type Digest, digestOfContent, type Tag } from "../../oci/reference.ts";
import type { LedgerApi } from "../../rpc/api.ts";
import type { FetchedManifest, TagState } from "../../rpc/cache-api.ts";
import type { FetchedContent, ManifestAnswer, Question } from "../../rpc/fetch-channel.ts";
import { writeToLedger } from "../../rpc/founding.ts";
import { repositoryStub } from "../../rpc/stubs.ts";
import { settingsOf } from "../../settings/settings.ts";
import { type Asker, askUpstream, failureOf, type NoAnswer } from "./ask.ts";

type TagQuestion = Question & { tag: Tag };
type DigestQuestion = Question & { digest: Digest };

/** A manifest of the upstream that was read; or, for a tag, that it still has the digest that is known. */
type Found = { manifest: RemoteManifest; facts: ManifestFacts } | "same";

/** Answers for a tag: by what is known of it if that is fresh, else by asking the upstream. */
export async function answerTag(asker: Asker, question: TagQuestion): Promise<ManifestAnswer> {
  const ledger = repositoryStub(asker.env, question.repository);
  const [state] = await ledger.tagStates([question.tag]);
  if (state === undefined) throw new TypeError("the ledger answered less than it was asked");
  if (state.isOrdinary) return { ok: true, content: "ordinary" };
  const upstream = settingsOf(asker.env).upstreams.find(({ id }) => id === question.upstream);
  const { known } = state;
  const ageMs = known === undefined ? 0 : asker.clock.now() - known.checkedAtMs;
  // Another isolate may have asked meanwhile. Without an upstream, what is here is served as it is.
  if (known !== undefined && (upstream === undefined || upstream.isOffline || ageMs < upstream.tagTtlMs))
    return { ok: true, content: { ...known, outcome: "hit" } };
  const reference = `${question.name}:${question.tag}`;
  const asked = await askUpstream(asker, question, reference, "tag", (remote) =>
    within(asker, (signal) => findTag(remote, ledger, question, known?.digest, signal)),
  );
  if (!asked.ok) return withoutAnswer(asker, ledger, question, state, asked, ageMs);
  if (asked.value !== "same") return storeTag(asker, question, state, asked.value);
  if (known === undefined) throw new TypeError("the same as nothing");
  await ledger.noteChecked({ tag: question.tag, sequence: state.sequence }, asker.clock.now());
  return { ok: true, content: { ...known, outcome: "revalidated" } };
}

/** Answers for a digest that is not here. */
export async function answerDigest(asker: Asker, question: DigestQuestion): Promise<ManifestAnswer> {
  const { repository, name, digest } = question;
  const ledger = repositoryStub(asker.env, repository);
  const absent = failure("MANIFEST_UNKNOWN", { digest });
  const [state, stat] = await Promise.all([ledger.blobState(digest), ledger.statManifest(digest)]);
  // Another request has stored it meanwhile.
  if (state.isOrdinary || stat !== undefined) return { ok: true, content: "ordinary" };
  const asked = await askUpstream(asker, question, `${name}@${digest}`, "manifest", (remote) =>
    within(asker, (signal) => findDigest(remote, digest, signal)),
  );
  if (!asked.ok) return failureOf(asked, question, absent);
  const { manifest, facts } = asked.value;
  await storeFetched(asker, {
    repository,
    digest,
    bytes: manifest.bytes,
    facts,
    origin: question.origin,
    since: { born: state.born },
  });
  return { ok: true, content: contentOf(manifest, "miss") };
}

/** Reads a tag of the upstream: only its digest, if that may be the known one. */
async function findTag(
  remote: RemoteRepository,
  ledger: LedgerApi,
  { tag }: TagQuestion,
  known: Digest | undefined,
  signal: AbortSignal,
): Promise<Found | undefined> {
  const stat = known === undefined ? "unasked" : await statTag(remote, tag, signal);
  if (stat === undefined) return undefined;
  if (stat !== "unasked" && stat === known) return "same";
  // The digest may be here already, because the tag moves back and forth, or another tag has it.
  const here = stat === "unasked" ? undefined : await ledger.manifest(stat);
  if (stat !== "unasked" && here !== undefined)
    return checked({ digest: stat, mediaType: here.mediaType, bytes: here.bytes });
  // If the tag moves between the two requests, its digest may be gone.
  const byDigest = stat === "unasked" ? undefined : await remote.manifest(stat, { signal });
  const manifest = byDigest ?? (await remote.manifest(tag, { signal }));
  if (manifest === undefined) return undefined;
  return manifest.digest === known ? "same" : checked(manifest);
}

/** The digest of a tag by HEAD; `unasked` where the upstream does not say it like this. */
async function statTag(
  remote: RemoteRepository,
  tag: Tag,
  signal: AbortSignal,
): Promise<Digest | "unasked" | undefined> {
  try {
    const stat = await remote.statManifest(tag, { signal });
    return stat === undefined ? undefined : (stat.digest ?? "unasked");
  } catch (error) {
    if (error instanceof RegistryError && (error.status === 405 || error.status === 501)) return "unasked";
    throw error;
  }
}

async function findDigest(
  remote: RemoteRepository,
  digest: Digest,
  signal: AbortSignal,
): Promise<Exclude<Found, "same"> | undefined> {
  const manifest = await remote.manifest(digest, { signal });
  return manifest === undefined ? undefined : checked(manifest);
}

/** A manifest that may be stored: it means the same to every client, and its digest is right. */
function checked(manifest: RemoteManifest): Exclude<Found, "same"> {
  const { bytes, mediaType, digest } = manifest;
  if (digestOfContent(bytes, algorithmOf(digest)) !== digest)
    throw new RegistryError("broken", `the bytes of manifest ${digest} have another digest`);
  const reading = readManifest(bytes, mediaType);
  if (!reading.ok) throw new RegistryError("foreign", `manifest ${digest} is refused: ${reading.reason}`);
  return { manifest, facts: reading.facts };
}

/** Gives a question a time limit for its answers with their bodies. */
function within<T>({ env }: Asker, ask: (signal: AbortSignal) => Promise<T>): Promise<T> {
  return ask(AbortSignal.timeout(2 * settingsOf(env).upstreamTimeoutMs));
}

/** Stores what the upstream answered, unless something changed during the question. */
async function storeFetched({ env }: Asker, put: Omit<FetchedManifest, "registration">): Promise<void> {
  const { repository } = put;
  const write = (registration: number | null) =>
    repositoryStub(env, repository).putFetched({ ...put, registration });
  await writeToLedger(env, repository, write, (answer) => answer === "unfounded");
}

async function storeTag(
  asker: Asker,
  { repository, tag, origin }: TagQuestion,
  { born, sequence, known }: TagState,
  { manifest, facts }: Exclude<Found, "same">,
): Promise<ManifestAnswer> {
  const { digest, bytes } = manifest;
  const since = { born, tag, sequence };
  await storeFetched(asker, { repository, digest, bytes, facts, origin, since });
  return { ok: true, content: contentOf(manifest, known === undefined ? "miss" : "revalidated") };
}

function contentOf(
  { digest, mediaType, bytes }: RemoteManifest,
  outcome: FetchedContent["outcome"],
): FetchedContent {
  return { digest, mediaType, sizeBytes: bytes.byteLength, bytes, outcome };
}

/** Answers for a tag whose upstream gave no answer, or does not have it: by what is here, as long as that is allowed. */
async function withoutAnswer(
  { env, waitUntil }: Asker,
  ledger: LedgerApi,
  question: TagQuestion,
  { known, sequence }: TagState,
  no: NoAnswer,
  ageMs: number,
): Promise<ManifestAnswer> {
  const { tag, origin } = question;
  const absent: Failure = failure("MANIFEST_UNKNOWN", { tag });
  const upstream = settingsOf(env).upstreams.find(({ id }) => id === question.upstream);
  if (known === undefined || upstream === undefined) return failureOf(no, question, absent);
  if (no.outcome === "absent" && upstream.onGone === "delete") {
    await ledger.dropGone({ tag, sequence }, origin);
    return absent;
  }
  const stale: ManifestAnswer = { ok: true, content: { ...known, outcome: "stale" } };
  // A tag that is gone is kept for ever if it is to be kept.
  if (no.outcome !== "absent") {
    if (ageMs > upstream.tagTtlMs + upstream.staleForMs) {
      return failureOf({ ...no, outcome: "down" }, question, absent);
    }
    const type = no.outcome === "denied" ? "upstream.denied" : "upstream.stale";
    waitUntil(ledger.noteUpstream(type, tag, origin).catch(() => {}));
  }
  return stale;
}
