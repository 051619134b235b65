/**
 * The list of webhooks. The ledgers send their events to this object, which passes them on to the queues of the
 * webhooks that want them (webhook-queue.ts). It delivers nothing itself.
 */
import { DurableObject } from "cloudflare:workers";
import type { Env } from "../bindings.ts";
import { type Clock, systemClock } from "../clock.ts";
import { log } from "../log.ts";
import type { RegistryEvent } from "../oci/event.ts";
import { matchesPattern } from "../oci/pattern.ts";
import { webhookQueueStub } from "../rpc/stubs.ts";
import type { Attention, Webhook, WebhookChange, WebhooksApi } from "../rpc/webhooks-api.ts";
import { settingsOf } from "../settings/settings.ts";
import { type DueJob, DueTable } from "./due.ts";
import { type Tx, transaction } from "./sql.ts";
import { WebhookStore } from "./webhooks/store.ts";

const passOnJob = "pass-on";
const batchSize = 100;
const retryMs = 5_000;

/** How many webhooks a registry has at most. */
const maxWebhooks = 100;

/** How far the clocks of two objects may be apart, in milliseconds: an event must not seem older than its webhook. */
const clockSkewMs = 250;

/** The webhooks; see {@link WebhooksApi} for what each method does. */
export class Webhooks extends DurableObject<Env> implements WebhooksApi {
  readonly #clock: Clock;
  readonly #due: DueTable;
  readonly #store: WebhookStore;
  /** Webhooks whose queues are being updated. */
  readonly #inFlight = new Set<string>();

  constructor(ctx: DurableObjectState, env: Env, clock: Clock = systemClock) {
    super(ctx, env);
    this.#clock = clock;
    this.#store = new WebhookStore(ctx.storage);
    this.#due = new DueTable(ctx.storage, clock);
    void this.#due.wake();
  }

  // ── Events ───────────────────────────────────────────────────────────────────────────────────────────────────

  async accept(repository: string, events: RegistryEvent[]): Promise<Attention> {
    const listeners = this.#store.all().filter((webhook) => hears(webhook, repository));
    const told = listeners
      .map((webhook) => ({ id: webhook.id, events: events.filter((event) => wants(webhook, event)) }))
      .filter((each) => each.events.length > 0);
    this.#change(
      told.map(({ id }) => id),
      (tx) => {
        for (const { id, events: wanted } of told) {
          for (const event of wanted) this.#store.addOutgoing(tx, id, event);
        }
      },
    );
    // Pulls do not come from ledgers.
    const isListening = listeners.some(({ events: types }) => types.some((type) => type !== "manifest.pull"));
    return { isListening, quietMs: isListening ? 0 : settingsOf(this.env).eventQuietMs };
  }

  async pullPatterns(): Promise<string[]> {
    const listeners = this.#store.all().filter((webhook) => !webhook.isDisabled);
    return listeners
      .filter(({ events }) => events.includes("manifest.pull"))
      .map(({ repository }) => repository);
  }

  // ── Webhooks ─────────────────────────────────────────────────────────────────────────────────────────────────

  async addWebhook(webhook: Webhook): Promise<boolean> {
    const isKnown = this.#store.read(webhook.id) !== undefined;
    if (!isKnown && this.#store.all().length >= maxWebhooks) return false;
    this.#change([webhook.id], (tx) => this.#store.write(tx, webhook));
    return true;
  }

  async webhook(id: string): Promise<Webhook | undefined> {
    return this.#store.read(id);
  }

  async listWebhooks(): Promise<Webhook[]> {
    return this.#store.all();
  }

  async changeWebhook(id: string, change: WebhookChange): Promise<Webhook | undefined> {
    const known = this.#store.read(id);
    if (known === undefined) return undefined;
    const changed = { ...known, ...change };
    this.#change([id], (tx) => this.#store.write(tx, changed));
    return changed;
  }

  async removeWebhook(id: string): Promise<boolean> {
    return this.#change([id], (tx) => this.#store.delete(tx, id));
  }

  async pingWebhook(id: string, event: RegistryEvent): Promise<Webhook | undefined> {
    const webhook = this.#store.read(id);
    if (webhook !== undefined && !webhook.isDisabled) {
      this.#change([id], (tx) => this.#store.addOutgoing(tx, id, event));
    }
    return webhook;
  }

  // ── Passing on ───────────────────────────────────────────────────────────────────────────────────────────────

  override async alarm(invocation?: AlarmInvocationInfo): Promise<void> {
    const jobs: Record<string, DueJob> = {
      [passOnJob]: async (rows) => {
        await Promise.all(rows.map(({ id }) => this.#passOn(id)));
      },
    };
    await this.#due.runAlarm(jobs, invocation);
  }

  /** Runs one transaction, and then updates the queues of these webhooks. */
  #change<T>(ids: string[], work: (tx: Tx) => T): T {
    const result = transaction(this.ctx.storage, (tx) => {
      for (const id of ids) this.#due.set(tx, passOnJob, id, this.#clock.now());
      return work(tx);
    });
    this.#due.arm();
    for (const id of ids) this.ctx.waitUntil(this.#passOn(id).then(() => this.#due.arm()));
    return result;
  }

  /** Sends a queue its webhook and events until it has all of them. Never throws. */
  async #passOn(id: string): Promise<void> {
    // An update in progress also sends what was added meanwhile.
    if (this.#inFlight.has(id)) return;
    this.#inFlight.add(id);
    try {
      // Workerd polls no socket in a chain of calls between objects.
      while (!(await this.#tell(id))) await scheduler.wait(0);
      transaction(this.ctx.storage, (tx) => this.#due.clear(tx, passOnJob, id));
    } catch (error) {
      log("warn", "events not passed on", { webhook: id, error: String(error) });
      const againAt = this.#clock.now() + retryMs;
      transaction(this.ctx.storage, (tx) => this.#due.set(tx, passOnJob, id, againAt));
    } finally {
      this.#inFlight.delete(id);
    }
  }

  /** Sends a queue one batch. Returns whether the queue is up to date. */
  async #tell(id: string): Promise<boolean> {
    const webhook = this.#store.read(id);
    const queue = webhookQueueStub(this.env, id);
    if (webhook === undefined) {
      await queue.forget();
      return true;
    }
    const { events, last } = this.#store.outgoing(id, batchSize);
    await queue.receive(webhook, events);
    transaction(this.ctx.storage, (tx) => this.#store.deleteOutgoing(tx, id, last));
    const isCurrent = JSON.stringify(this.#store.read(id)) === JSON.stringify(webhook);
    return isCurrent && !this.#store.hasOutgoing(id);
  }
}

function hears(webhook: Webhook, repository: string): boolean {
  return !webhook.isDisabled && matchesPattern(webhook.repository, repository);
}

/** Whether a webhook wants an event: by its type, and not from before the webhook existed. */
function wants({ events, createdAtMs }: Webhook, { type, time }: RegistryEvent): boolean {
  return type !== "ping" && events.includes(type) && Date.parse(time) >= createdAtMs - clockSkewMs;
}
