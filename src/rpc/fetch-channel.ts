/**
 * The interface of the objects that fetch from upstreams, and how the bytes of a blob come from them: as the body of an
 * answer to `fetch`, with their description in a header, as in upload-channel.ts.
 *
 * Each object fetches one thing, or on one machine several: so concurrent questions about it are one question.
 */
import type { Result } from "../oci/errors.ts";
import type { Origin } from "../oci/event.ts";
import type { ByteRange } from "../oci/http.ts";
import type { Digest, RepositoryName, Tag } from "../oci/reference.ts";
import type { BlobLocation } from "../storage/replica.ts";

/** What is asked on whose behalf: a repository here, and the one of the upstream that it stands for. */
export type Question = {
  repository: RepositoryName;
  upstream: string;
  name: RepositoryName;
  origin: Origin;
};

/**
 * A request for a blob. `range`: only this part of it, as it comes from the upstream. `takesFiles`: the answer may be
 * the files that have the bytes.
 */
export type BlobQuestion = Question & { digest: Digest; range?: string; takesFiles?: boolean };

/** What is known of a pulled tag or manifest, for the metrics. */
export type PullOutcome = "hit" | "miss" | "revalidated" | "stale";

/** A manifest, or for a tag that is unchanged perhaps only its digest. */
export type FetchedContent = {
  digest: Digest;
  mediaType: string;
  sizeBytes: number;
  /** Left out if the ledger has it. */
  bytes?: Uint8Array;
  outcome: PullOutcome;
};

/** `ordinary`: the repository was pushed, and never asks an upstream. */
export type ManifestAnswer = Result<{ content: FetchedContent | "ordinary" }>;

/**
 * How a blob comes. `linked`: the repository has it (now), at this location if it was just linked, or is an ordinary one:
 * it is read as any other. `live`: the
 * bytes follow; the last of them only once all have their digest, and else the stream breaks. `files`: the same, but what
 * follows is the list of the files that have the bytes (`writeFileRanges`). `partial`: a part follows, as the upstream
 * sends it, which is not verified. `sizeBytes`: of the whole blob.
 */
export type BlobAnswer = Result<
  | { how: "linked"; location?: BlobLocation }
  | { how: "live" | "files"; sizeBytes: number }
  | { how: "partial"; sizeBytes: number; range: ByteRange }
>;

/** An object that fetches from upstreams. */
export interface FetchApi {
  /** Streams a blob; see {@link openBlob}. */
  fetch(request: Request): Promise<Response>;
  /** The size of a blob that the upstream has in this repository; `BLOB_UNKNOWN` if that was pushed. */
  statBlob(question: BlobQuestion): Promise<Result<{ sizeBytes: number }>>;
  tag(question: Question & { tag: Tag }): Promise<ManifestAnswer>;
  manifest(question: Question & { digest: Digest }): Promise<ManifestAnswer>;
}

/** The calls of {@link FetchApi} that may be repeated: each asks, and stores what it finds. */
export const repeatableFetchCalls: ReadonlySet<keyof FetchApi> = new Set(["statBlob", "tag", "manifest"]);

const questionHeader = "stowage-question";
const answerHeader = "stowage-answer";

/** Asks for the bytes of a blob; the body is that of a `live` or `partial` answer. */
export async function openBlob(
  object: FetchApi,
  question: BlobQuestion,
): Promise<{ answer: BlobAnswer; body: ReadableStream<Uint8Array> | null }> {
  const headers = { [questionHeader]: JSON.stringify(question) };
  const response = await object.fetch(new Request("https://fetch/", { headers }));
  return { answer: JSON.parse(response.headers.get(answerHeader) ?? ""), body: response.body };
}

/** The object's side of {@link openBlob}: reads the question. */
export function receiveQuestion(request: Request): BlobQuestion {
  return JSON.parse(request.headers.get(questionHeader) ?? "");
}

/** The object's side of {@link openBlob}: answers. */
export function answerQuestion(answer: BlobAnswer, body: ReadableStream<Uint8Array> | null = null): Response {
  return new Response(body, { headers: { [answerHeader]: JSON.stringify(answer) } });
}
