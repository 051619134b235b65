/**
 * One upload session: whose turn it is to write, what is received, and how it ends.
 *
 * It takes one writer at a time, which a cancellation ends, and keeps after each request all that it acknowledged: whole
 * parts in the bucket, the rest in its object's own storage. Only the running hash is in memory alone; where it was lost,
 * the finished object is read back once. Its bytes are doomed at birth: unless the upload is finished, its object's
 * alarm deletes them, and once more before the session is forgotten.
 */
import type { Clock, Env, Settings } from "../../env.ts";
import { meter } from "../../metrics/meter.ts";
import type { Digest } from "../../oci/digest.ts";
import { type Failure, failure, type Result } from "../../oci/errors.ts";
import type { Bucket } from "../../storage/bucket.ts";
import { newBlobKey } from "../../storage/keys.ts";
import { commitBlob } from "../commit-blob.ts";
import type { DueTable } from "../due.ts";
import { repositoryStub } from "../stubs.ts";
import { logDeletion } from "../tally.ts";
import type { UploadSession, UploadStatus, UploadWrite } from "../upload-channel.ts";
import { appendBody, type UploadParts } from "./append.ts";
import { assemble } from "./assemble.ts";
import type { Intake } from "./intake.ts";
import { RunningHash } from "./running-hash.ts";
import { sessionJob, type UploadRow, UploadStore, type UploadTables } from "./store.ts";
import { Turn } from "./turn.ts";

const adoptAgainMs = 30_000;

/** The job of the `due` table that deletes what a session left that was given up. */
export const cleanJob = "clean";

/** What sessions share: the object that keeps them. */
export type SessionHost = {
  env: Env;
  clock: Clock;
  settings: Settings;
  bucket: Bucket;
  storage: DurableObjectStorage;
  due: DueTable;
  tables: UploadTables;
  /** Keeps the object awake for work whose request has gone, and reports what came of it. */
  hold(work: Promise<unknown>): void;
};

/** A session; see {@link UploadApi} for what its methods promise. */
export class Session {
  readonly #host: SessionHost;
  readonly #id: string;
  readonly #store: UploadStore;
  readonly #turn: Turn;
  #hash: RunningHash | undefined;
  /** What the writer receives, while it does. */
  #intake: Intake | undefined;
  /** How many requests use it now. */
  users = 0;

  constructor(host: SessionHost, id: string) {
    this.#host = host;
    this.#id = id;
    this.#store = new UploadStore(host.storage, host.tables, id);
    this.#turn = new Turn((work) => host.hold(work));
  }

  /** Whether its memory is of no use to anybody: nothing is kept of it, or it is over. */
  get isIdle(): boolean {
    const isOpen = this.#store.exists() && !isOver(this.#store.read());
    return this.users === 0 && !this.#turn.isTaken && !isOpen;
  }

  async write(
    write: UploadWrite,
    body: ReadableStream | null,
    intake: Intake,
  ): Promise<Result<UploadStatus>> {
    await this.#endStalled(write);
    return this.#turn.take(() => this.#receive(write, body, intake));
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
      await repositoryStub(this.#host.env, session.repository).cancelSession(session.repository, session.id);
      return { ok: true };
    });
  }

  ownsKey(key: string): boolean {
    if (!this.#store.exists()) return false;
    const row = this.#store.read();
    return row.key === key && (!isOver(row) || wasGivenUp(row));
  }

  /** What is due about it: it has expired, its adoption was cut short, or it is to be forgotten. */
  async goOn(): Promise<void> {
    if (!this.#store.exists()) this.#host.due.clear(sessionJob, this.#id);
    else if (this.#turn.isTaken) this.#renew();
    else if (isOver(this.#store.read())) await this.#forget();
    else if (this.#store.read().state === "finishing") await this.#turn.take(() => this.#finish());
    else await this.#discard("nobody came back to it for UPLOAD_TTL");
  }

  /** Deletes what it left in the bucket. */
  async clean(): Promise<void> {
    await this.#deleteBytes();
    this.#host.storage.transactionSync(() => {
      this.#store.clearBytes();
      this.#host.due.clear(cleanJob, this.#id);
    });
    this.#host.due.arm();
  }

  async #forget(): Promise<void> {
    const { due, storage } = this.#host;
    if (due.at(cleanJob, this.#id) !== undefined) return;
    // A put that was thought to have failed may have landed since: bytes are deleted once more.
    await this.#deleteBytes();
    storage.transactionSync(() => {
      this.#store.delete();
      due.clear(sessionJob, this.#id);
    });
  }

  // ── Ending a writer ──────────────────────────────────────────────────────────────────────────────────────────

  /**
   * Ends a writer whose client has sent nothing for `UPLOAD_STALL`, for one that says that its bytes begin where the
   * upload stands: the same client, on a new connection, while the old one was never seen to end.
   */
  async #endStalled({ offset }: UploadWrite): Promise<void> {
    const isNext = this.#store.exists() && offset === this.#store.read().offset;
    if (isNext && this.#intake?.hasWaited(this.#host.settings.uploadStallMs))
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
      if (write.digest !== undefined) this.#store.close(write.digest, write.origin);
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
      this.#store.keep();
      this.#renew();
      this.#host.due.arm();
    }
  }

  /** The session's row if it still takes requests, begun if this is the first one. */
  async #wake(session: UploadSession, started: boolean): Promise<Result<{ row: UploadRow }>> {
    const ended = await this.#endedWithoutThis(session, started);
    if (ended !== undefined) return ended;
    if (!this.#store.exists()) {
      const { uploadPartBytes } = this.#host.settings;
      this.#store.begin(session, newBlobKey(session.id), uploadPartBytes, () => {
        this.#renew();
        this.#host.due.arm();
      });
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
    const { state } = await repositoryStub(this.#host.env, session.repository).sessionState(session.id);
    return state === "open" ? undefined : failure("BLOB_UPLOAD_UNKNOWN");
  }

  #isFinishedAs(digest: Digest | undefined): boolean {
    if (!this.#store.exists()) return false;
    const row = this.#store.read();
    return row.state === "finished" && row.digest === digest;
  }

  #renew(): void {
    this.#dueIn(this.#host.settings.uploadTtlMs);
    meter.uploads.opened(this.#id);
  }

  #dueIn(milliseconds: number): void {
    this.#host.due.set(sessionJob, this.#id, this.#host.clock.now() + milliseconds);
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
      this.#store.setState("finishing", digest);
    }
    const { id, repository } = this.#store.session();
    const blob = { digest, key, sizeBytes: offset };
    const committed = await this.#commit(repository, blob, id);
    this.#end(committed.ok ? "finished" : "cancelled", digest, () => this.#store.clearBytes());
    return committed;
  }

  /** Commits what was verified. If that fails, the alarm repeats it; if this object dies, it does so once it expires. */
  async #commit(...[repository, blob, id]: Commit): Promise<Result> {
    try {
      return await commitBlob(this.#host.env, repository, blob, id, this.#store.origin());
    } catch (error) {
      this.#dueIn(adoptAgainMs);
      this.#host.due.arm();
      throw error;
    }
  }

  /** Gives the upload up, and deletes what it stored. */
  async #discard(reason: string): Promise<void> {
    const { state } = this.#store.read();
    if (state === "finishing" || state === "finished") return;
    const { due, clock } = this.#host;
    this.#end("cancelled", null, () => due.set(cleanJob, this.#id, clock.now()));
    const { id, repository } = this.#store.session();
    logDeletion({ what: "upload", reason, repository, upload: id });
    // If this fails, the alarm repeats it.
    await this.clean().catch(() => {});
  }

  /** Deletes what a session that was given up has stored. What was verified is its digest's shard's to delete. */
  async #deleteBytes(): Promise<void> {
    const row = this.#store.read();
    if (!wasGivenUp(row)) return;
    const { key, uploadId } = row;
    const { bucket } = this.#host;
    if (uploadId !== null) await bucket.abortMultipart({ key, uploadId });
    await bucket.delete([key]);
  }

  /** Ends the session; it is remembered for another while, as its client may repeat what it asked for last. */
  #end(state: "finished" | "cancelled", digest: Digest | null, andThen: () => void): void {
    this.#host.storage.transactionSync(() => {
      this.#store.setState(state, digest);
      this.#dueIn(this.#host.settings.uploadTtlMs);
      andThen();
    });
    this.#host.due.arm();
    meter.uploads.ended(this.#id);
  }

  get #parts(): UploadParts {
    const { bucket, settings } = this.#host;
    return { store: this.#store, bucket, settings };
  }
}

type Commit = [repository: UploadSession["repository"], blob: Parameters<typeof commitBlob>[2], id: string];

/** Whether it ended before its bytes were verified, so that they are its own to delete. */
function wasGivenUp({ state, digest }: UploadRow): boolean {
  return state === "cancelled" && digest === null;
}

function isOver({ state }: UploadRow): boolean {
  return state === "finished" || state === "cancelled";
}
