/**
 * What the objects that deliver events ask of each other, and the Worker of them; see api.ts.
 *
 * The ledgers hand their events to `Webhooks`, which knows who listens and passes them on. Each webhook has a
 * `WebhookQueue` of its own, which sends them. So a slow listener delays neither pushes nor other listeners.
 */
import type { EventType, RegistryEvent } from "../oci/event.ts";
import type { EventFormat } from "../oci/event-format.ts";
import type { Page } from "./api.ts";

/** Where to send which events, and how. `repository` is a pattern as in grants. `secret` is shown to nobody. */
export type Webhook = {
  id: string;
  url: string;
  events: EventType[];
  repository: string;
  format: EventFormat;
  secret: string;
  headers: Record<string, string>;
  isDisabled: boolean;
  createdAtMs: number;
};

/** A change to a webhook; what is left out stays. */
export type WebhookChange = Partial<Omit<Webhook, "id" | "createdAtMs">>;

/** Whether somebody listens to a repository, or else for how long nobody does. */
export type Attention = { isListening: boolean; quietMs?: number };

/** Which webhooks there are, and what each has still to be told. */
export interface WebhooksApi {
  /**
   * Takes over events, in order, for all webhooks that want them. Answers whether any may want events of this
   * repository. If none does, none will for `quietMs` from the call on: whoever makes a webhook waits for that long
   * (`EVENT_QUIET`). An earlier release does not answer that.
   */
  accept(repository: string, events: RegistryEvent[]): Promise<Attention>;
  /** Patterns of the repositories whose pulls somebody wants to hear of. */
  pullPatterns(): Promise<string[]>;
  /** False if there are too many. */
  addWebhook(webhook: Webhook): Promise<boolean>;
  webhook(id: string): Promise<Webhook | undefined>;
  listWebhooks(): Promise<Webhook[]>;
  changeWebhook(id: string, change: WebhookChange): Promise<Webhook | undefined>;
  removeWebhook(id: string): Promise<boolean>;
}

/** The calls of {@link WebhooksApi} that may be repeated. */
export const repeatableWebhooksCalls: ReadonlySet<keyof WebhooksApi> = new Set([
  "accept",
  "pullPatterns",
  "webhook",
  "listWebhooks",
]);

/** One try to deliver an event. `status` and `answer` (its beginning) are there if the listener answered. */
export type Delivery = {
  event: string;
  type: string;
  repository: string;
  attempt: number;
  time: string;
  milliseconds: number;
  outcome: "delivered" | "failed" | "given up";
  status?: number;
  answer?: string;
  error?: string;
};

/** An event that was given up. */
export type DeadLetter = {
  event: RegistryEvent;
  time: string;
  attempts: number;
  reason: string;
};

/** The state of a webhook's queue. `dropped`: dead letters that were discarded, as there were too many. */
export type QueueState = { waiting: number; deadLetters: number; dropped: number };

/** How many deliveries were attempted, by outcome. */
export type TryCounts = Record<Delivery["outcome"], number>;

/** The queue of one webhook. */
export interface WebhookQueueApi {
  /** Takes over the webhook as it is now, and events, in order. An event that is waiting already is not taken twice. */
  receive(webhook: Webhook, events: RegistryEvent[]): Promise<void>;
  state(): Promise<QueueState>;
  /** Its state, with all attempts since the webhook was made. */
  counts(): Promise<QueueState & { tries: TryCounts }>;
  /** The latest tries, newest first. */
  deliveries(limit: number): Promise<Delivery[]>;
  /** Dead letters, newest first, after the one of the event `last` ("" for the newest). */
  deadLetters(last: string, limit: number): Promise<Page<DeadLetter>>;
  deadLetter(event: string): Promise<DeadLetter | undefined>;
  /** Puts a dead letter back at the end of the queue. False if there is none. */
  replayDeadLetter(event: string): Promise<boolean>;
  /** Deletes everything: the webhook was deleted. */
  forget(): Promise<void>;
}

/** The calls of {@link WebhookQueueApi} that may be repeated. */
export const repeatableQueueCalls: ReadonlySet<keyof WebhookQueueApi> = new Set([
  "receive",
  "state",
  "counts",
  "deliveries",
  "deadLetters",
  "deadLetter",
  "forget",
]);
