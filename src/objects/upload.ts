/**
 * An object for upload sessions that have received bytes: for one session, or on one machine for a pool of them.
 * Sessions of a pool share only a database and an alarm.
 */
import { DurableObject } from "cloudflare:workers";
import type { Env } from "../bindings.ts";
import { type Clock, systemClock } from "../clock.ts";
import { log } from "../log.ts";
import { failure, type Result } from "../oci/errors.ts";
import type { RepositoryName } from "../oci/reference.ts";
import { reportIfDue } from "../rpc/report-counts.ts";
import { HasLaterData } from "../rpc/stubs.ts";
import {
  answerWrite,
  type OpenSession,
  receiveWrite,
  type UploadApi,
  type UploadSession,
  type UploadStatus,
} from "../rpc/upload-channel.ts";
import { settingsOf } from "../settings/settings.ts";
import { openDiskSpace } from "../storage/disk-space.ts";
import { uploadOfKey } from "../storage/keys.ts";
import { openBucket } from "../storage/open-bucket.ts";
import { type DueJob, type DueRow, DueTable } from "./due.ts";
import { transaction } from "./sql.ts";
import { ActiveWrite } from "./upload/active-write.ts";
import { adoptJob, cleanJob, sessionJob, UploadTables, uploadColumns } from "./upload/schema.ts";
import { Session } from "./upload/session.ts";
import type { SessionHost } from "./upload/session-host.ts";
import { SessionMemory } from "./upload/session-memory.ts";

/** How long the outcome of a session may wait to be written together with those of others, in milliseconds. */
const outcomeDelayMs = 250;

/** The sessions; see {@link UploadApi} for what each method does. */
export class Upload extends DurableObject<Env> implements UploadApi {
  readonly #host: SessionHost;
  readonly #sessions = new SessionMemory((id) => new Session(this.#host, id));

  constructor(ctx: DurableObjectState, env: Env, clock: Clock = systemClock) {
    super(ctx, env);
    this.#host = {
      objects: env,
      clock,
      settings: settingsOf(env),
      bucket: openBucket(env),
      space: openDiskSpace(env),
      storage: ctx.storage,
      change: (work) => transaction(ctx.storage, work),
      due: new DueTable(ctx.storage, clock, uploadColumns),
      tables: new UploadTables(ctx.storage),
      hold: (work) => ctx.waitUntil(work.then(() => this.#report())),
      keepOutcomeLater: (id) => ctx.waitUntil(this.#keepOutcome(id)),
    };
    if (this.#host.tables.exist()) void this.#host.due.wake();
  }

  override async fetch(request: Request): Promise<Response> {
    const write = receiveWrite(request);
    const active = new ActiveWrite(this.#host.clock);
    try {
      const result = await this.#sessions.use(write.session.id, (session) =>
        session.write(write, request.body, active),
      );
      return answerWrite(request, result, active.receivedBytes);
    } catch (error) {
      log("error", "upload failed", { upload: write.session.id, error: String(error) });
      const refusal = error instanceof HasLaterData ? failure("LATER_DATA") : failure("UNAVAILABLE");
      return answerWrite(request, refusal, active.receivedBytes);
    }
  }

  async status(session: UploadSession, started: boolean): Promise<Result<UploadStatus>> {
    return this.#sessions.use(session.id, (known) => known.status(session, started));
  }

  async cancel(session: UploadSession, started: boolean): Promise<Result> {
    return this.#sessions.use(session.id, (known) => known.cancel(session, started));
  }

  async ownsKey(key: string): Promise<boolean> {
    const id = uploadOfKey(key);
    return id !== undefined && this.#sessions.use(id, async (session) => session.ownsKey(key));
  }

  async openSessions(limit: number): Promise<OpenSession[]> {
    const ids = this.#host.tables.openSessions(limit);
    const found = await Promise.all(
      ids.map((id) => this.#sessions.use(id, async (session) => session.describe())),
    );
    return found.filter((each) => each !== undefined);
  }

  async drop(id: string): Promise<Result<{ repository: RepositoryName }>> {
    return this.#sessions.use(id, async (session) => {
      const known = session.describe();
      if (known === undefined) return failure("BLOB_UPLOAD_UNKNOWN");
      const { repository, algorithm } = known;
      const dropped = await session.cancel({ id, repository, algorithm }, true);
      return dropped.ok ? { ok: true, repository } : dropped;
    });
  }

  override async alarm(invocation?: AlarmInvocationInfo): Promise<void> {
    const { due, tables } = this.#host;
    if (!tables.exist()) return;
    const jobs: Record<string, DueJob> = {
      [adoptJob]: (rows) => this.#each(rows, (session) => session.adopt()),
      [sessionJob]: (rows) => this.#each(rows, (session) => session.expire()),
      [cleanJob]: (rows) => this.#each(rows, (session) => session.clean()),
    };
    await due.runAlarm(jobs, invocation);
    this.#report();
    // The previous run may have ended with the deletion of everything.
    if (!tables.exist() || !tables.areEmpty() || this.#sessions.used.length > 0) return;
    due.forget();
    // In this order: an alarm without work does no harm, but an object without an alarm is never woken. Nothing is
    // awaited in between, as a new session would set an alarm of its own.
    await Promise.all([this.ctx.storage.deleteAll(), this.ctx.storage.deleteAlarm()]);
  }

  /** Runs work on the sessions of rows. If one fails, its row is postponed, and the others go on. */
  async #each(rows: DueRow[], work: (session: Session) => Promise<void>): Promise<void> {
    const outcomes = await Promise.allSettled(rows.map(({ id }) => this.#sessions.use(id, work)));
    for (const outcome of outcomes) {
      if (outcome.status === "rejected") throw outcome.reason;
    }
  }

  /** Stores how a session ended, in one write with other sessions that end within a moment. */
  async #keepOutcome(id: string): Promise<void> {
    await this.#sessions.use(id, async () => {
      await scheduler.wait(outcomeDelayMs);
      for (const each of this.#sessions.used) each.keepOutcome();
    });
    this.#report();
  }

  #report(): void {
    reportIfDue(this.env, this.#host.clock.now(), (promise) => this.ctx.waitUntil(promise));
  }
}
