/**
 * One upload session that has received bytes.
 *
 * It takes one writer at a time, which a cancellation ends, and keeps after each request all that it acknowledged: whole parts in the bucket,
 * the rest in its own storage. Only the running hash is in memory alone; where it was lost, the finished object is
 * read back once. Its bytes are doomed at birth: unless the upload is finished, its alarm deletes them, and once more
 * before it forgets the session.
 */
import { DurableObject } from "cloudflare:workers";
import { type Clock, type Env, parseSettings, type Settings, systemClock } from "../env.ts";
import { meter } from "../metrics/meter.ts";
import type { Digest } from "../oci/digest.ts";
import { type Failure, failure, type Result } from "../oci/errors.ts";
import type { Bucket } from "../storage/bucket.ts";
import { newBlobKey } from "../storage/keys.ts";
import { openBucket } from "../storage/open-bucket.ts";
import { commitBlob } from "./commit-blob.ts";
import { type DueJob, DueTable } from "./due.ts";
import { reportIfDue } from "./report.ts";
import { repositoryStub } from "./stubs.ts";
import { logDeletion } from "./tally.ts";
import { appendBody, type UploadParts } from "./upload/append.ts";
import { assemble } from "./upload/assemble.ts";
import { Intake } from "./upload/intake.ts";
import { RunningHash } from "./upload/running-hash.ts";
import { type UploadRow, UploadStore } from "./upload/store.ts";
import { Turn } from "./upload/turn.ts";
import {
  answerWrite,
  receiveWrite,
  type UploadApi,
  type UploadSession,
  type UploadStatus,
  type UploadWrite,
} from "./upload-channel.ts";

const adoptAgainMs = 30_000;

/** The session; see {@link UploadApi} for what each method promises. */
export class Upload extends DurableObject<Env> implements UploadApi {
  readonly #clock: Clock;
  readonly #settings: Settings;
  readonly #bucket: Bucket;
  readonly #due: DueTable;
  readonly #store: UploadStore;
  #hash: RunningHash | undefined;
  readonly #turn = new Turn((work) => this.ctx.waitUntil(work.then(() => this.#report())));
  /** What the writer receives, while it does. */
  #intake: Intake | undefined;

  constructor(ctx: DurableObjectState, env: Env, clock: Clock = systemClock) {
    super(ctx, env);
    this.#clock = clock;
    this.#settings = parseSettings(env);
    this.#bucket = openBucket(env);
    this.#due = new DueTable(ctx.storage, clock);
    this.#store = new UploadStore(ctx.storage);
    if (this.#store.open()) void ctx.blockConcurrencyWhile(() => this.#due.wake());
  }

  override async fetch(request: Request): Promise<Response> {
    const write = receiveWrite(request);
    const intake = new Intake(this.#clock);
    try {
      await this.#endStalled(write);
      const result = await this.#turn.take(() => this.#receive(write, request.body, intake));
      return answerWrite(request, result, intake.receivedBytes);
    } catch (error) {
      console.error(
        JSON.stringify({ event: "upload failed", upload: write.session.id, error: String(error) }),
      );
      return answerWrite(request, failure("UNAVAILABLE"), intake.receivedBytes);
    }
  }

  async status(session: UploadSession, started: boolean): Promise<Result<UploadStatus>> {
    await this.#turn.pause();
    const ended = await this.#endedWithoutThis(session, started);
    if (ended !== undefined) return ended;
    if (!this.#store.exists()) return { ok: true, offset: 0 };
    const row = this.#store.read();
    return isOver(row) ? failure("BLOB_UPLOAD_UNKNOWN") : { ok: true, offset: row.offset };
  }

  async cancel(session: UploadSession, started: boolean): Promise<Result> {
    await this.#stopIntake(failure("BLOB_UPLOAD_UNKNOWN"));
    return this.#turn.take(async () => {
      const known = await this.#wake(session, started);
      if (!known.ok) return known;
      await this.#discard("cancelled");
      await repositoryStub(this.env, session.repository).cancelSession(session.repository, session.id);
      return { ok: true };
    });
  }

  async ownsKey(key: string): Promise<boolean> {
    if (!this.#store.exists()) return false;
    const row = this.#store.read();
    return row.key === key && (!isOver(row) || wasGivenUp(row));
  }

  override async alarm(invocation?: AlarmInvocationInfo): Promise<void> {
    if (!this.#store.exists()) return;
    let isForgotten = false;
    const jobs: Record<string, DueJob> = {
      adopt: async () => {
        await this.#turn.take(() => this.#finish());
      },
      expire: async () => {
        if (this.#turn.isTaken) this.#renew();
        else await this.#discard("nobody came back to it for UPLOAD_TTL");
      },
      clean: () => this.#clean(),
      forget: async () => {
        if (this.#due.at("clean", "") !== undefined) return;
        // A put that was thought to have failed may have landed since: bytes are deleted once more.
        await this.#deleteBytes();
        isForgotten = true;
      },
    };
    await this.#due.runAlarm(jobs, invocation);
    this.#report();
    if (!isForgotten) return;
    this.#due.forget();
    // In this order: an alarm that finds nothing does no harm, and an object without one is not woken any more.
    await this.ctx.storage.deleteAll();
    await this.ctx.storage.deleteAlarm();
  }

  // ── Ending a writer ──────────────────────────────────────────────────────────────────────────────────────────

  /**
   * Ends a writer whose client has sent nothing for `UPLOAD_STALL`, for one that says that its bytes begin where the
   * upload stands: the same client, on a new connection, while the old one was never seen to end.
   */
  async #endStalled({ offset }: UploadWrite): Promise<void> {
    const isNext = this.#store.exists() && offset === this.#store.read().offset;
    if (isNext && this.#intake?.hasWaited(this.#settings.uploadStallMs))
      await this.#stopIntake(failure("BLOB_UPLOAD_BUSY"));
  }

  /** Ends the request whose bytes are being received, if there is one, with this answer. */
  async #stopIntake(answer: Failure): Promise<void> {
    if (this.#intake === undefined) return;
    this.#intake.stop(answer);
    await this.#turn.end();
  }

  // ── Receiving ────────────────────────────────────────────────────────────────────────────────────────────────

  async #receive(
    write: UploadWrite,
    body: ReadableStream | null,
    intake: Intake,
  ): Promise<Result<UploadStatus>> {
    const known = await this.#wake(write.session, write.started);
    if (!known.ok) return this.#isFinishedAs(write.digest) ? { ok: true, offset: 0 } : known;
    if (known.row.state === "open") {
      const received = await this.#append(write, body, intake);
      if (!received.ok) return received;
      if (write.digest !== undefined) {
        this.#store.setOrigin(write.origin);
        this.#store.setState("closing", write.digest);
      }
    } else if (known.row.digest !== write.digest) {
      // It has all its bytes, and an earlier request to close it was cut short. Only its repetition makes sense.
      return failure("BLOB_UPLOAD_INVALID", { closedAs: known.row.digest });
    }
    const { offset } = this.#store.read();
    if (write.digest === undefined) return { ok: true, offset };
    const finished = await this.#finish();
    return finished.ok ? { ok: true, offset } : finished;
  }

  async #append(write: UploadWrite, body: ReadableStream | null, intake: Intake): Promise<Result> {
    const { offset } = this.#store.read();
    if (offset === 0) this.#hash = new RunningHash(write.session.algorithm);
    if (!this.#hash?.covers(offset)) this.#hash = undefined;
    this.#intake = intake;
    try {
      return await appendBody(this.#parts, write, body, this.#hash, intake);
    } finally {
      this.#intake = undefined;
      this.#renew();
      this.#due.arm();
    }
  }

  /** The session's row if it still takes requests, made if this is the first one. */
  async #wake(session: UploadSession, started: boolean): Promise<Result<{ row: UploadRow }>> {
    const ended = await this.#endedWithoutThis(session, started);
    if (ended !== undefined) return ended;
    if (!this.#store.exists()) {
      this.ctx.storage.transactionSync(() => {
        this.#store.create(session, newBlobKey(session.id), this.#settings.uploadPartBytes);
        this.#renew();
      });
      this.#due.arm();
    }
    const row = this.#store.read();
    return isOver(row) ? failure("BLOB_UPLOAD_UNKNOWN") : { ok: true, row };
  }

  /**
   * The refusal of a session that has ended, as far as this object cannot know: it never saw it, or only its refused
   * chunks, and the whole blob came in one body, which goes to the bucket past it.
   */
  async #endedWithoutThis(session: UploadSession, started: boolean): Promise<Failure | undefined> {
    const known = this.#store.exists() ? this.#store.read().state : "none";
    if (started) return known === "none" ? failure("BLOB_UPLOAD_UNKNOWN") : undefined;
    if (known !== "none" && known !== "open") return undefined;
    const { state } = await repositoryStub(this.env, session.repository).sessionState(session.id);
    return state === "open" ? undefined : failure("BLOB_UPLOAD_UNKNOWN");
  }

  #isFinishedAs(digest: Digest | undefined): boolean {
    if (!this.#store.exists()) return false;
    const row = this.#store.read();
    return row.state === "finished" && row.digest === digest;
  }

  #renew(): void {
    this.#due.set("expire", "", this.#clock.now() + this.#settings.uploadTtlMs);
    meter.uploads.opened(this.#store.session().id);
  }

  #report(): void {
    reportIfDue(this.env, this.#clock.now(), (promise) => this.ctx.waitUntil(promise));
  }

  // ── Ending ───────────────────────────────────────────────────────────────────────────────────────────────────

  /** Goes on from wherever closing the upload stands. From `finishing` on, nothing here deletes its bytes. */
  async #finish(): Promise<Result> {
    const { state, digest, key, offset } = this.#store.read();
    if (digest === null || (state !== "closing" && state !== "finishing"))
      return failure("BLOB_UPLOAD_UNKNOWN");
    if (state === "closing") {
      const hash = this.#hash;
      this.#hash = undefined;
      const assembled = await assemble(this.#parts, digest, hash);
      if (!assembled.ok) {
        await this.#discard("it is not what its digest says");
        return assembled;
      }
      this.#move("finishing", digest, () => {
        this.#due.clear("expire", "");
        this.#due.set("adopt", "", this.#clock.now() + adoptAgainMs);
      });
    }
    const { id, repository } = this.#store.session();
    const blob = { digest, key, sizeBytes: offset };
    const committed = await commitBlob(this.env, repository, blob, id, this.#store.origin());
    this.#move(committed.ok ? "finished" : "cancelled", digest, () => {
      this.#store.clearBytes();
      this.#due.clear("adopt", "");
      this.#due.set("forget", "", this.#clock.now() + this.#settings.uploadTtlMs);
    });
    return committed;
  }

  /** Gives the upload up, and deletes what it stored. */
  async #discard(reason: string): Promise<void> {
    const { state } = this.#store.read();
    if (state === "finishing" || state === "finished") return;
    const now = this.#clock.now();
    this.#move("cancelled", null, () => {
      this.#due.clear("expire", "");
      this.#due.set("clean", "", now);
      this.#due.set("forget", "", now + this.#settings.uploadTtlMs);
    });
    const { id, repository } = this.#store.session();
    logDeletion({ what: "upload", reason, repository, upload: id });
    // If this fails, the alarm repeats it.
    await this.#clean().catch(() => {});
  }

  /** Deletes what a session that was given up has stored. What was verified is its digest's shard's to delete. */
  async #deleteBytes(): Promise<void> {
    const row = this.#store.read();
    if (!wasGivenUp(row)) return;
    const { key, uploadId } = row;
    if (uploadId !== null) await this.#bucket.abortMultipart({ key, uploadId });
    await this.#bucket.delete([key]);
  }

  async #clean(): Promise<void> {
    await this.#deleteBytes();
    this.#store.clearBytes();
    this.#due.clear("clean", "");
    this.#due.arm();
  }

  #move(state: UploadRow["state"], digest: Digest | null, andThen: () => void): void {
    this.ctx.storage.transactionSync(() => {
      this.#store.setState(state, digest);
      andThen();
    });
    this.#due.arm();
    if (isOver(this.#store.read())) meter.uploads.ended(this.#store.session().id);
  }

  get #parts(): UploadParts {
    return { store: this.#store, bucket: this.#bucket, settings: this.#settings };
  }
}

/** Whether it ended before its bytes were verified, so that they are its own to delete. */
function wasGivenUp({ state, digest }: UploadRow): boolean {
  return state === "cancelled" && digest === null;
}

function isOver({ state }: UploadRow): boolean {
  return state === "finished" || state === "cancelled";
}
