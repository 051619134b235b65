/**
 * The queue of one webhook. It delivers the events that `Webhooks` passed on, in order within each repository, until
 * the listener accepts them or they are given up.
 *
 * A failing event delays only events of its own repository. If the object dies while it sends an event, it sends the
 * event again with the same id.
 */
import { DurableObject } from "cloudflare:workers";
import type { Env } from "../bindings.ts";
import { type Clock, systemClock } from "../clock.ts";
import type { RegistryEvent } from "../oci/event.ts";
import type { Page } from "../rpc/api.ts";
import type {
  DeadLetter,
  Delivery,
  QueueState,
  TryCounts,
  Webhook,
  WebhookQueueApi,
} from "../rpc/webhooks-api.ts";
import { type Settings, settingsOf } from "../settings/settings.ts";
import { minute } from "../units.ts";
import { DueTable } from "./due.ts";
import { type Tx, transaction } from "./sql.ts";
import { type Attempt, maxAttempts, sendEvent, waitMs } from "./webhook-queue/send.ts";
import { QueueStore, sendJob, type Waiting } from "./webhook-queue/store.ts";

/** How every request is sent. The global function must be called without `this`. */
const internet: Pick<Fetcher, "fetch"> = { fetch: (...args) => fetch(...args) };

/** An attempt to deliver an event, and its outcome. */
type Try = { waiting: Waiting; result: Attempt; startedAt: number; endedAt: number };

/** Outcomes are written in batches of at most this size, after at most this many milliseconds. */
const recordedAtOnce = 20;
const recordedWithinMs = 250;

/** How long a queue remembers at least that its webhook was removed: longer than a call to it may be under way. */
const emptiedKeptMs = 10 * minute;

/** For how many repositories events are sent at once. */
const repositoriesAtOnce = 4;

/** The queue; see {@link WebhookQueueApi} for what each method does. */
export class WebhookQueue extends DurableObject<Env> implements WebhookQueueApi {
  readonly #clock: Clock;
  readonly #settings: Settings;
  readonly #due: DueTable;
  readonly #store: QueueStore;
  /** Repositories of which an event is being sent. */
  readonly #inFlight = new Set<string>();

  constructor(ctx: DurableObjectState, env: Env, clock: Clock = systemClock) {
    super(ctx, env);
    this.#clock = clock;
    this.#settings = settingsOf(env);
    this.#store = new QueueStore(ctx.storage);
    this.#due = new DueTable(ctx.storage, clock);
    if (this.#store.exists() || this.#store.isEmptied()) void this.#due.wake();
  }

  async receive(webhook: Webhook, events: RegistryEvent[]): Promise<void> {
    if (this.#store.isEmptied()) return;
    this.#change((tx) => {
      const isNews = this.#store.setWebhook(tx, webhook);
      for (const event of events) {
        if (!this.#store.add(tx, event)) this.#giveUp(tx, event, 0, "too many events were waiting");
      }
      // After a change to the webhook, its owner wants to see at once whether it works.
      if (webhook.isDisabled) this.#store.unschedule(tx);
      else this.#store.schedule(tx, this.#clock.now(), isNews ? "all" : "new");
    });
  }

  async state(): Promise<QueueState> {
    return this.#store.exists() ? this.#store.state() : { waiting: 0, deadLetters: 0, dropped: 0 };
  }

  async counts(): Promise<QueueState & { tries: TryCounts }> {
    const tries = this.#store.exists() ? this.#store.tries() : { delivered: 0, failed: 0, "given up": 0 };
    return { ...(await this.state()), tries };
  }

  async deliveries(limit: number): Promise<Delivery[]> {
    return this.#store.exists() ? this.#store.deliveries(limit) : [];
  }

  async deadLetters(last: string, limit: number): Promise<Page<DeadLetter>> {
    return this.#store.exists() ? this.#store.deadLetters(last, limit) : { entries: [], more: false };
  }

  async deadLetter(event: string): Promise<DeadLetter | undefined> {
    return this.#store.exists() ? this.#store.deadLetter(event) : undefined;
  }

  async replayDeadLetter(id: string): Promise<boolean> {
    const letter = await this.deadLetter(id);
    if (letter === undefined) return false;
    return this.#change((tx) => {
      if (!this.#store.add(tx, letter.event)) return false;
      this.#store.removeDeadLetter(tx, id);
      if (!this.#store.webhook().isDisabled) this.#store.schedule(tx, this.#clock.now(), "new");
      return true;
    });
  }

  async forget(): Promise<void> {
    if (!this.#store.exists()) return;
    // Wait for the events that are being sent, and refuse late calls.
    const keptMs = Math.max(2 * this.#settings.webhookTimeoutMs, emptiedKeptMs);
    const forgetAt = this.#clock.now() + keptMs;
    transaction(this.ctx.storage, (tx) => this.#store.empty(tx, forgetAt));
    this.#due.arm();
  }

  // ── Sending ──────────────────────────────────────────────────────────────────────────────────────────────────

  override async alarm(invocation?: AlarmInvocationInfo): Promise<void> {
    // An alarm may have been set for something else before the queue was emptied.
    if (!this.#store.exists() && !this.#store.isKeptEmpty(this.#clock.now())) {
      await this.ctx.storage.deleteAll();
      return;
    }
    await this.#due.runAlarm({ [sendJob]: () => this.#sendDue() }, invocation);
  }

  #change<T>(work: (tx: Tx) => T): T {
    const result = transaction(this.ctx.storage, work);
    this.#due.arm();
    this.ctx.waitUntil(this.#sendDue());
    return result;
  }

  /** Sends the events that are due, of several repositories at once. Resolves when all that it began has ended. */
  async #sendDue(): Promise<void> {
    const runners = Array.from({ length: repositoriesAtOnce - this.#inFlight.size }, async () => {
      for (let next = this.#take(); next !== undefined; next = this.#take()) await this.#sendAllOf(next);
    });
    await Promise.all(runners);
  }

  #take(): string | undefined {
    if (!this.#store.exists() || this.#inFlight.size >= repositoriesAtOnce) return undefined;
    const due = this.#store.dueRepositories(this.#clock.now(), repositoriesAtOnce);
    const next = due.find((repository) => !this.#inFlight.has(repository));
    if (next !== undefined) this.#inFlight.add(next);
    return next;
  }

  /** Sends a repository's events one after the other, until there are no more or one fails. */
  async #sendAllOf(repository: string): Promise<void> {
    const tries: Try[] = [];
    try {
      while (await this.#sendNextOf(repository, tries));
    } finally {
      this.#recordAll(tries);
      this.#inFlight.delete(repository);
      if (this.#store.exists()) this.#due.arm();
    }
  }

  /**
   * Sends one event. Returns whether to go on with the repository's next one. Outcomes are written in batches: if the
   * object dies before, it sends their events again with the same ids.
   */
  async #sendNextOf(repository: string, tries: Try[]): Promise<boolean> {
    // The webhook may have been deleted meanwhile.
    if (!this.#store.exists()) return false;
    const webhook = this.#store.webhook();
    const waiting = this.#store.next(repository, tries.at(-1)?.waiting.sequence ?? 0);
    if (waiting === undefined || webhook.isDisabled) {
      this.#recordAll(tries);
      transaction(this.ctx.storage, (tx) => this.#due.clear(tx, sendJob, repository));
      return false;
    }
    const { webhookTimeoutMs: timeoutMs, webhookAllowsPrivate: allowsPrivate } = this.#settings;
    const startedAt = this.#clock.now();
    const fetcher = allowsPrivate ? internet : (this.env.WEBHOOK_OUTBOUND ?? internet);
    const attempt = await sendEvent(webhook, waiting.event, {
      fetcher,
      allowsPrivate,
      timeoutMs,
      now: startedAt,
    });
    tries.push({ waiting, result: attempt, startedAt, endedAt: this.#clock.now() });
    const isRoom =
      tries.length < recordedAtOnce && this.#clock.now() - (tries[0]?.startedAt ?? 0) < recordedWithinMs;
    return attempt.isDelivered && isRoom ? true : this.#recordAll(tries);
  }

  /**
   * Writes the outcomes of attempts, and clears the batch. Returns whether to go on with the repository's next event.
   */
  #recordAll(tries: Try[]): boolean {
    const all = tries.splice(0);
    if (!this.#store.exists()) return false;
    return transaction(this.ctx.storage, (tx) => all.map((each) => this.#record(tx, each)).at(-1) ?? true);
  }

  #record(tx: Tx, { waiting, result: { isDelivered, ...answer }, startedAt, endedAt: now }: Try): boolean {
    const { event } = waiting;
    const attempt = waiting.attempts + 1;
    const pauseMs = waitMs(attempt);
    const outcome = isDelivered ? "delivered" : pauseMs === undefined ? "given up" : "failed";
    const { id, type, repository } = event;
    const time = new Date(startedAt).toISOString();
    const milliseconds = now - startedAt;
    this.#store.addDelivery(tx, {
      event: id,
      type,
      repository,
      attempt,
      time,
      milliseconds,
      outcome,
      ...answer,
    });
    if (outcome === "failed" && pauseMs !== undefined) {
      this.#store.setAttempts(tx, waiting, attempt);
      this.#due.set(tx, sendJob, repository, now + pauseMs);
      return false;
    }
    this.#store.remove(tx, waiting);
    if (!isDelivered) this.#giveUp(tx, event, attempt, `it failed ${maxAttempts} times: ${reasonOf(answer)}`);
    return true;
  }

  #giveUp(tx: Tx, event: RegistryEvent, attempts: number, reason: string): void {
    const time = new Date(this.#clock.now()).toISOString();
    this.#store.addDeadLetter(tx, { event, time, attempts, reason });
  }
}

function reasonOf({ error, status }: Omit<Attempt, "isDelivered">): string {
  return error ?? `status ${status}`;
}
