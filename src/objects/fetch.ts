/**
 * An object that fetches from upstreams: one blob, manifest or tag, or on one machine several. Whoever asks for the same
 * thing at the same time shares a question.
 */
import { DurableObject } from "cloudflare:workers";
import type { Env } from "../bindings.ts";
import { type Clock, systemClock } from "../clock.ts";
import { log } from "../log.ts";
import { failure, type Result } from "../oci/errors.ts";
import { parseRange } from "../oci/http.ts";
import type { BlobState } from "../rpc/cache-api.ts";
import {
  answerQuestion,
  type BlobAnswer,
  type BlobQuestion,
  type FetchApi,
  type ManifestAnswer,
  receiveQuestion,
} from "../rpc/fetch-channel.ts";
import { reportIfDue } from "../rpc/report-counts.ts";
import { repositoryStub } from "../rpc/stubs.ts";
import { settingsOf } from "../settings/settings.ts";
import { openDiskSpace } from "../storage/disk-space.ts";
import { openBucket } from "../storage/open-bucket.ts";
import { type DueRow, DueTable } from "./due.ts";
import { askUpstream, failureOf } from "./fetch/ask.ts";
import { BlobFetch } from "./fetch/blob.ts";
import { type FetchHost, resumeEveryMs, resumeJob } from "./fetch/host.ts";
import { linkKnown } from "./fetch/link.ts";
import { answerDigest, answerTag } from "./fetch/manifests.ts";
import { serveFetch } from "./fetch/serve.ts";
import { FetchStore, type StoredQuestion } from "./fetch/store.ts";
import { transaction } from "./sql.ts";
import { UploadTables } from "./upload/schema.ts";

/** The fetches; see {@link FetchApi} for what each method does. */
export class Fetch extends DurableObject<Env> implements FetchApi {
  readonly #host: FetchHost;
  /** Fetches that are under way, and questions whose answers several wait for. */
  readonly #fetches = new Map<string, BlobFetch>();
  readonly #questions = new Map<string, Promise<unknown>>();

  constructor(ctx: DurableObjectState, env: Env, clock: Clock = systemClock) {
    super(ctx, env);
    this.#host = {
      env,
      clock,
      waitUntil: (work) => ctx.waitUntil(work),
      settings: settingsOf(env),
      bucket: openBucket(env),
      space: openDiskSpace(env),
      storage: ctx.storage,
      store: new FetchStore(ctx.storage.sql),
      tables: new UploadTables(ctx.storage),
      due: new DueTable(ctx.storage, clock),
      change: (work) => transaction(ctx.storage, work),
    };
    if (this.#host.store.exists()) void this.#host.due.wake();
  }

  // ── Manifests ────────────────────────────────────────────────────────────────────────────────────────────────────

  async tag(question: Parameters<FetchApi["tag"]>[0]): Promise<ManifestAnswer> {
    const id = `${question.repository}:${question.tag}`;
    return this.#together(id, () => answerTag(this.#host, question));
  }

  async manifest(question: Parameters<FetchApi["manifest"]>[0]): Promise<ManifestAnswer> {
    const id = `${question.repository}@${question.digest}`;
    return this.#together(id, () => answerDigest(this.#host, question));
  }

  // ── Blobs ────────────────────────────────────────────────────────────────────────────────────────────────────────

  async statBlob(question: BlobQuestion): Promise<Result<{ sizeBytes: number }>> {
    const { digest, repository } = question;
    const state = await repositoryStub(this.env, repository).blobState(digest);
    if (state.isOrdinary) return failure("BLOB_UNKNOWN", { digest });
    return this.#askSize(question, state);
  }

  async #askSize(
    question: BlobQuestion,
    { describedBytes }: BlobState,
  ): Promise<Result<{ sizeBytes: number }>> {
    const { name, digest } = question;
    const asked = await askUpstream(this.#host, question, `${name}@${digest}`, "blob", (remote) =>
      remote.statBlob(digest),
    );
    this.#report();
    if (!asked.ok) return failureOf(asked, question, failure("BLOB_UNKNOWN", { digest }));
    if (asked.value >= 0) return { ok: true, sizeBytes: asked.value };
    if (describedBytes !== undefined) return { ok: true, sizeBytes: describedBytes };
    return failure("UPSTREAM_INVALID", { upstream: question.upstream });
  }

  override async fetch(request: Request): Promise<Response> {
    const question = receiveQuestion(request);
    try {
      if (question.range !== undefined) return await this.#openRange(question, question.range);
      const begun = await this.#begin(question);
      if (!(begun instanceof BlobFetch)) return answerQuestion(begun);
      return await this.#answerLive(begun, question);
    } catch (error) {
      log("error", "fetch failed", { repository: question.repository, error: String(error) });
      return answerQuestion(failure("UNAVAILABLE"));
    }
  }

  async #answerLive(fetch: BlobFetch, question: BlobQuestion): Promise<Response> {
    const served = await serveFetch(this.#host, fetch, question);
    if ("body" in served) {
      const { how, sizeBytes, body } = served;
      return answerQuestion({ ok: true, how, sizeBytes }, body);
    }
    const { ending } = served;
    if (!ending.ok) return answerQuestion(ending);
    const { location } = ending;
    if (ending.isLinked) return answerQuestion({ ok: true, how: "linked", location });
    // The repository was deleted meanwhile: the client gets what it asked for, from what nobody holds.
    const body = (await this.#host.bucket.read(location)) ?? null;
    if (body === null) return answerQuestion(failure("UNAVAILABLE"));
    return answerQuestion({ ok: true, how: "live", sizeBytes: location.sizeBytes }, body);
  }

  /**
   * The fetch of a blob, which begins unless it is under way; or the answer where none is needed.
   */
  async #begin(question: BlobQuestion): Promise<BlobFetch | BlobAnswer> {
    const id = idOf(question);
    return (
      this.#fetches.get(id) ??
      (await this.#together(`begin ${id}`, async () => {
        const { repository, digest } = question;
        const state = await repositoryStub(this.env, repository).blobState(digest);
        if (state.isOrdinary || state.isLinked) return { ok: true, how: "linked" } as const;
        const known = await linkKnown(this.#host, question, state.born);
        if (known !== undefined) return known;
        const { born, describedBytes: sizeBytes } = state;
        const { takesFiles: _, ...asked } = question;
        return (
          this.#fetches.get(id) ??
          this.#start(id, { ...asked, born, ...(sizeBytes === undefined ? {} : { sizeBytes }) })
        );
      }))
    );
  }

  #start(id: string, question: StoredQuestion): BlobFetch {
    const fetch = new BlobFetch(this.#host, id, question);
    this.#fetches.set(id, fetch);
    const run = fetch.run().finally(() => {
      this.#fetches.delete(id);
      this.#report();
    });
    this.ctx.waitUntil(run);
    return fetch;
  }

  /** Passes a part through as the upstream sends it. If it is most of the blob, the whole is fetched as well. */
  async #openRange(question: BlobQuestion, range: string): Promise<Response> {
    const { name, digest } = question;
    const state = await repositoryStub(this.env, question.repository).blobState(digest);
    if (state.isOrdinary || state.isLinked) return answerQuestion({ ok: true, how: "linked" });
    const stat = await this.#askSize(question, state);
    if (!stat.ok) return answerQuestion(stat);
    const { sizeBytes } = stat;
    const parsed = parseRange(range, sizeBytes);
    if (parsed === "unsatisfiable") return answerQuestion(failure("RANGE_UNSATISFIABLE", { sizeBytes }));
    const [only, more] = parsed === "whole" ? [] : parsed;
    const { range: _, ...whole } = question;
    if (only === undefined || more !== undefined) {
      const begun = await this.#begin(whole);
      return begun instanceof BlobFetch ? this.#answerLive(begun, whole) : answerQuestion(begun);
    }
    const asked = await askUpstream(this.#host, question, `${name}@${digest}`, "blob", (remote) =>
      remote.openBlob(digest, { range: only }),
    );
    if (!asked.ok) return answerQuestion(failureOf(asked, question, failure("BLOB_UNKNOWN", { digest })));
    if (only.length > sizeBytes / 2) this.ctx.waitUntil(this.#begin(whole).catch(() => {}));
    return answerQuestion({ ok: true, how: "partial", sizeBytes, range: only }, asked.value.body);
  }

  /** Shares a question with those who ask it at the same time. */
  async #together<T>(id: string, ask: () => Promise<T>): Promise<T> {
    const asking = (this.#questions.get(id) as Promise<T> | undefined) ?? ask();
    this.#questions.set(id, asking);
    try {
      return await asking;
    } finally {
      if (this.#questions.get(id) === asking) this.#questions.delete(id);
      this.#report();
    }
  }

  // ── Upkeep ───────────────────────────────────────────────────────────────────────────────────────────────────────

  override async alarm(invocation?: AlarmInvocationInfo): Promise<void> {
    const { due, store } = this.#host;
    if (!store.exists()) return;
    await due.runAlarm({ [resumeJob]: async (rows) => this.#resume(rows) }, invocation);
    this.#report();
    if (!store.isEmpty() || this.#fetches.size > 0 || !this.#host.tables.areEmpty()) return;
    due.forget();
    await Promise.all([this.ctx.storage.deleteAll(), this.ctx.storage.deleteAlarm()]);
  }

  /** Goes on with fetches that an earlier life of the object left, and looks again later. */
  #resume(rows: DueRow[]): void {
    const { store, change, due, clock } = this.#host;
    for (const { id } of rows) {
      const question = store.find(id);
      change((tx) => {
        if (question === undefined) due.clear(tx, resumeJob, id);
        else due.set(tx, resumeJob, id, clock.now() + resumeEveryMs);
      });
      if (question !== undefined && !this.#fetches.has(id)) this.#start(id, question);
    }
  }

  #report(): void {
    reportIfDue(this.env, this.#host.clock.now(), (promise) => this.ctx.waitUntil(promise));
  }
}

function idOf({ repository, digest }: BlobQuestion): string {
  return `${repository}@${digest}`;
}
