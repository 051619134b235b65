/**
 * One upload session: who may write to it, what is received, and how it ends.
 *
 * There is one writer at a time, which a cancellation stops. After each request, all acknowledged bytes are stored:
 * whole parts in the bucket, the rest in the object's own storage. Only the running hash is in memory; if it is lost,
 * the finished upload is read back. The object's alarm deletes the bytes of an abandoned upload.
 */
import { meter } from "../../metrics/meter.ts";
import { type Failure, failure, type Result } from "../../oci/errors.ts";
import type { Digest } from "../../oci/reference.ts";
import { commitBlob, isStillLinked } from "../../rpc/commit-blob.ts";
import { scheduleDeletion } from "../../rpc/founding.ts";
import { repositoryStub } from "../../rpc/stubs.ts";
import { logDeletion } from "../../rpc/tally.ts";
import type { OpenSession, UploadSession, UploadStatus, UploadWrite } from "../../rpc/upload-channel.ts";
import { newBlobKey } from "../../storage/keys.ts";
import { RunningHash } from "../running-hash.ts";
import type { Tx } from "../sql.ts";
import type { ActiveWrite } from "./active-write.ts";
import { appendBody, type UploadParts } from "./append.ts";
import { assemble, deleteGivenUp, ownsKey } from "./assemble.ts";
import { expiryFromNow, isTooOld, renewedDue, tooOld } from "./lifetime.ts";
import { adoptAgainMs, adoptJob, cleanJob } from "./schema.ts";
import { describeSession, type SessionHost } from "./session-host.ts";
import type { Remembered } from "./session-memory.ts";
import { isOver, type UploadRow, UploadStore } from "./store.ts";
import { WriteLock } from "./write-lock.ts";

/** A session; see {@link UploadApi} for what its methods do. */
export class Session implements Remembered {
  readonly #host: SessionHost;
  readonly #id: string;
  readonly #store: UploadStore;
  readonly #parts: UploadParts;
  readonly #lock: WriteLock;
  /** The request that writes to it now. */
  #active: ActiveWrite | undefined;
  /** How it ended, until that is written. The answer does not wait for the write, as the ledger already has it. */
  #outcome: Pick<UploadRow, "state" | "digest"> | undefined;
  #activeAtMs: number | undefined;
  /** How many requests use it now. */
  users = 0;
  hash: RunningHash | undefined;

  constructor(host: SessionHost, id: string) {
    this.#host = host;
    this.#id = id;
    this.#store = new UploadStore(host.storage.sql, host.tables, id);
    this.#parts = { ...host, store: this.#store };
    this.#lock = new WriteLock((work) => host.hold(work));
  }

  get isAtRest(): boolean {
    return this.users === 0 && !this.#lock.isHeld;
  }

  get #row(): UploadRow {
    return { ...this.#store.read(), ...this.#outcome };
  }

  async write(
    write: UploadWrite,
    body: ReadableStream | null,
    active: ActiveWrite,
  ): Promise<Result<UploadStatus>> {
    await this.#endStalled(write);
    return this.#lock.run(() => this.#receive(write, body, active));
  }

  async status(session: UploadSession, started: boolean): Promise<Result<UploadStatus>> {
    await this.#lock.waitShortly();
    const ended = await this.#endedWithoutThis(session, started);
    if (ended !== undefined) return ended;
    if (!this.#store.exists()) return { ok: true, offset: 0 };
    return isOver(this.#row) ? failure("BLOB_UPLOAD_UNKNOWN") : { ok: true, offset: this.#row.offset };
  }

  async cancel(session: UploadSession, started: boolean): Promise<Result> {
    await this.#stopWrite(failure("BLOB_UPLOAD_UNKNOWN"));
    return this.#lock.run(async () => {
      const known = await this.#wake(session, started);
      if (!known.ok) return known;
      await this.#discard("cancelled");
      const { repository } = session;
      await repositoryStub(this.#host.objects, repository).cancelSession(repository, session.id);
      return { ok: true };
    });
  }

  /** Describes the session; `undefined` if it is not open. */
  describe(): OpenSession | undefined {
    return describeSession(this.#host, this.#store, this.#active !== undefined, this.#activeAtMs);
  }

  ownsKey(key: string): boolean {
    return this.#store.exists() && ownsKey(this.#row, key);
  }

  /** Runs the job that is due UPLOAD_TTL after the last request: ends an open session, forgets an ended one. */
  async expire(): Promise<void> {
    const isOld = isTooOld(this.#store, this.#host.clock.now());
    if (isOld) await this.#stopWrite(failure("BLOB_UPLOAD_UNKNOWN"));
    if (this.#lock.isHeld || this.#outcome !== undefined) this.#renew();
    else if (isOver(this.#row)) await this.#forget();
    else if (this.#row.state === "finishing") await this.#handOver();
    else await this.#discard(isOld ? tooOld : "nobody came back to it for UPLOAD_TTL");
  }

  /** Retries the adoption of verified bytes. */
  async adopt(): Promise<void> {
    if (this.#row.state === "finishing") await this.#lock.run(() => this.#finish());
    else this.#host.change((tx) => this.#host.due.clear(tx, adoptJob, this.#id));
    this.keepOutcome();
  }

  /** Deletes the bytes that the session left in the bucket. */
  async clean(): Promise<void> {
    await deleteGivenUp(this.#row, this.#host.bucket);
    this.#host.change((tx) => {
      this.#store.clearBytes(tx);
      this.#host.due.clear(tx, cleanJob, this.#id);
    });
    this.#host.due.arm();
  }

  async #forget(): Promise<void> {
    if (this.#host.due.at(cleanJob, this.#id) !== undefined) return;
    // A put that seemed to fail may have landed since, so bytes are deleted once more.
    await deleteGivenUp(this.#row, this.#host.bucket);
    this.#host.change((tx) => this.#store.delete(tx));
  }

  /**
   * Ends a writer whose client has sent nothing for `UPLOAD_STALL`, for one that says that its bytes begin where the
   * upload stands: the same client, on a new connection, while the old one was never seen to end.
   */
  async #endStalled({ offset }: UploadWrite): Promise<void> {
    const isNext = this.#store.exists() && offset === this.#row.offset;
    if (isNext && this.#active?.hasWaited(this.#host.settings.uploadStallMs))
      await this.#stopWrite(failure("BLOB_UPLOAD_BUSY"));
  }

  /** Ends the request whose bytes are being received, if there is one, with this answer. */
  async #stopWrite(answer: Failure): Promise<void> {
    if (this.#active === undefined) return;
    this.#active.stop(answer);
    await this.#lock.wait();
  }

  // ── Receiving ────────────────────────────────────────────────────────────────────────────────────────────────

  async #receive(
    write: UploadWrite,
    body: ReadableStream | null,
    active: ActiveWrite,
  ): Promise<Result<UploadStatus>> {
    const known = await this.#wake(write.session, write.started, write.origin.actor);
    if (!known.ok) return (await this.#isStillThere(write)) ? { ok: true, offset: 0 } : known;
    if (known.row.state === "open") {
      const received = await this.#append(write, body, active);
      if (!received.ok) return received;
      const { digest, origin } = write;
      if (digest !== undefined) this.#host.change((tx) => this.#store.close(tx, digest, origin));
    } else if (known.row.digest !== write.digest) {
      // It has all its bytes, and an earlier request to close it was cut short. Only its repetition makes sense.
      return failure("BLOB_UPLOAD_INVALID", { closedAs: known.row.digest });
    }
    const { offset } = this.#row;
    if (write.digest === undefined) return { ok: true, offset };
    const finished = await this.#finish();
    return finished.ok ? { ok: true, offset } : finished;
  }

  async #append(write: UploadWrite, body: ReadableStream | null, active: ActiveWrite): Promise<Result> {
    const { offset } = this.#row;
    if (offset === 0) this.hash = new RunningHash(write.session.algorithm);
    this.#active = active;
    try {
      return await appendBody(this.#parts, write, body, this.hash, active);
    } catch (error) {
      if (!(await this.#host.space?.explains(error))) throw error;
      // Its bytes are the room that others need, and no client comes back to an upload that was refused.
      await this.#discard("the disk is full");
      return failure("DISK_FULL");
    } finally {
      this.#active = undefined;
      if (!isOver(this.#row)) {
        this.#host.change((tx) => this.#store.keep(tx));
        this.#renew();
        this.#host.due.arm();
      }
    }
  }

  /** The session's row if it still takes requests, begun if this is the first one. */
  async #wake(session: UploadSession, started: boolean, actor = ""): Promise<Result<{ row: UploadRow }>> {
    const ended = await this.#endedWithoutThis(session, started);
    if (ended !== undefined) return ended;
    if (!this.#store.exists()) {
      const { settings, clock } = this.#host;
      const bytes = { key: newBlobKey(session.id), partBytes: settings.uploadPartBytes };
      const opened = { actor, atMs: clock.now(), dueAt: expiryFromNow(this.#host) };
      this.#store.begin(session, bytes, opened, () => this.#host.due.arm());
    }
    if (isTooOld(this.#store, this.#host.clock.now())) await this.#discard(tooOld);
    const row = this.#row;
    return isOver(row) ? failure("BLOB_UPLOAD_UNKNOWN") : { ok: true, row };
  }

  /**
   * The refusal of a session that has ended, as far as this object cannot know: it never saw it, or only its refused
   * chunks, and the whole blob came in one body, which goes to the bucket past it; or it died before it kept the end.
   */
  async #endedWithoutThis(session: UploadSession, started: boolean): Promise<Failure | undefined> {
    const known = this.#store.exists() ? this.#row.state : "none";
    if (started && known === "none") return failure("BLOB_UPLOAD_UNKNOWN");
    if (known !== "finishing" && (started || (known !== "none" && known !== "open"))) return undefined;
    const { state } = await repositoryStub(this.#host.objects, session.repository).sessionState(session.id);
    if (state === "open") return undefined;
    // If the shard does not answer now, the alarm has it adopt the bytes, and nobody links them.
    if (known === "finishing" && state === "cancelled") await this.#handOver().catch(() => {});
    else if (known === "finishing") this.#endAs(state);
    return failure("BLOB_UPLOAD_UNKNOWN");
  }

  /** Whether it is finished as this blob, which the repository has still: who repeats the request relies on that. */
  async #isStillThere({ session, digest }: UploadWrite): Promise<boolean> {
    const row = this.#store.exists() ? this.#row : undefined;
    if (row?.state !== "finished" || row.digest === null || row.digest !== digest) return false;
    return isStillLinked(this.#host.objects, session.repository, row.digest);
  }

  #renew(): void {
    const now = this.#host.clock.now();
    const dueAt = renewedDue(this.#store, now, this.#host.settings.uploadTtlMs);
    if (dueAt !== undefined) this.#host.change((tx) => this.#store.setDue(tx, dueAt));
    this.#activeAtMs = now;
    meter.uploads.opened(this.#id, now);
  }

  // ── Ending ───────────────────────────────────────────────────────────────────────────────────────────────────

  /** Goes on from wherever closing the upload stands. From `finishing` on, nothing here deletes its bytes. */
  async #finish(): Promise<Result> {
    const { state, digest, key, offset } = this.#row;
    if (digest === null || (state !== "closing" && state !== "finishing"))
      return failure("BLOB_UPLOAD_UNKNOWN");
    let segments: Uint8Array | undefined;
    if (state === "closing") {
      const hash = this.hash;
      this.hash = undefined;
      const assembled = await assemble(this.#parts, digest, hash);
      if (!assembled.ok) {
        await this.#discard("it is not what its digest says");
        return assembled;
      }
      segments = assembled.segments;
      this.#host.change((tx) => this.#store.setState(tx, "finishing", digest));
    }
    const { id, repository } = this.#store.session();
    const blob = { digest, key, sizeBytes: offset, ...(segments && { segments }) };
    try {
      const committed = await commitBlob(this.#host, repository, blob, id, this.#store.origin());
      this.#endAs(committed.ok ? "finished" : "cancelled");
      return committed;
    } catch (error) {
      // Its client may come back, or not.
      const { due, clock, change } = this.#host;
      change((tx) => due.set(tx, adoptJob, this.#id, clock.now() + adoptAgainMs));
      due.arm();
      throw error;
    }
  }

  #endAs(state: "finished" | "cancelled"): void {
    this.#outcome = { state, digest: this.#row.digest };
    meter.uploads.ended(this.#id);
    this.#host.keepOutcomeLater(this.#id);
  }

  /** Keeps how it ended, where that was not kept with its end. */
  keepOutcome(): void {
    if (this.#outcome === undefined) return;
    const { state, digest } = this.#outcome;
    this.#outcome = undefined;
    this.#end(state, digest, (tx) => this.#store.clearBytes(tx));
  }

  /** Leaves verified bytes to the shard of their digest, which deletes them unless they are its content. */
  async #handOver(): Promise<void> {
    const [{ digest, key }, { objects, clock }] = [this.#row, this.#host];
    if (digest !== null) await scheduleDeletion(objects, digest, key, clock.now());
    meter.uploads.ended(this.#id);
    this.#end("cancelled", digest, (tx) => this.#store.clearBytes(tx));
  }

  /** Gives the upload up, and deletes what it stored. */
  async #discard(reason: string): Promise<void> {
    const { state } = this.#row;
    if (state === "finishing" || state === "finished") return;
    this.#end("cancelled", null, (tx) => this.#host.due.set(tx, cleanJob, this.#id, this.#host.clock.now()));
    meter.uploads.ended(this.#id);
    const { id, repository } = this.#store.session();
    logDeletion({ what: "upload", reason, repository, upload: id });
    // If this fails, the alarm repeats it.
    await this.clean().catch(() => {});
  }

  /** Ends the session; it is remembered for another while, as its client may repeat what it asked for last. */
  #end(state: UploadRow["state"], digest: Digest | null, andThen: (tx: Tx) => void): void {
    this.hash = undefined;
    this.#host.change((tx) => {
      this.#store.end(tx, state, digest, expiryFromNow(this.#host));
      this.#host.due.clear(tx, adoptJob, this.#id);
      andThen(tx);
    });
    this.#host.due.arm();
  }
}
