/**
 * The interfaces of the objects that deliver events; see api.ts.
 *
 * The ledgers send their events to `Webhooks`, which has the list of webhooks and passes the events on. Each webhook
 * has a `WebhookQueue` of its own, which delivers them. So a slow listener delays neither pushes nor other listeners.
 */
import type { EventType, RegistryEvent } from "../oci/event.ts";
import type { EventFormat } from "../oci/event-format.ts";
import type { Page } from "./api.ts";

/** A webhook: which events to send where. `repository` is a pattern as in grants. `secret` is never shown. */
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

/** A change to a webhook; fields that are left out stay as they are. */
export type WebhookChange = Partial<Omit<Webhook, "id" | "createdAtMs">>;

/** Whether somebody listens to a repository; if not, for how long nobody will. */
export type Attention = { isListening: boolean; quietMs?: number };

/** The list of webhooks, and what has still to be passed on to each. */
export interface WebhooksApi {
  /**
   * Accepts events, in order, for all webhooks that want them. Answers whether any may want events of this repository.
   * If none does, none will for `quietMs` from the call on, as creating a webhook takes that long (`EVENT_QUIET`).
   * Earlier releases do not answer `quietMs`.
   */
  accept(repository: string, events: RegistryEvent[]): Promise<Attention>;
  /** Patterns of the repositories whose pulls some webhook wants. */
  pullPatterns(): Promise<string[]>;
  /** False if there are too many. */
  addWebhook(webhook: Webhook): Promise<boolean>;
  webhook(id: string): Promise<Webhook | undefined>;
  listWebhooks(): Promise<Webhook[]>;
  changeWebhook(id: string, change: WebhookChange): Promise<Webhook | undefined>;
  removeWebhook(id: string): Promise<boolean>;
  /** Passes an event on to a webhook, unless it is disabled. Answers the webhook; `undefined` if there is none. */
  pingWebhook(id: string, event: RegistryEvent): Promise<Webhook | undefined>;
}

/** The calls of {@link WebhooksApi} that may be repeated. */
export const repeatableWebhooksCalls: ReadonlySet<keyof WebhooksApi> = new Set([
  "accept",
  "pullPatterns",
  "webhook",
  "listWebhooks",
]);

/** One attempt to deliver an event. `status` and `answer` (its beginning) are set if the listener answered. */
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
  /**
   * Accepts the current webhook, and events, in order. An event that is already queued is not queued twice. Only
   * `Webhooks` calls it, one call after the other: who else read the webhook may have an earlier state of it.
   */
  receive(webhook: Webhook, events: RegistryEvent[]): Promise<void>;
  state(): Promise<QueueState>;
  /** Its state, with all attempts since the webhook was created. */
  counts(): Promise<QueueState & { tries: TryCounts }>;
  /** The latest attempts, newest first. */
  deliveries(limit: number): Promise<Delivery[]>;
  /** Dead letters, newest first, after the one of the event `last` ("" for the newest). */
  deadLetters(last: string, limit: number): Promise<Page<DeadLetter>>;
  deadLetter(event: string): Promise<DeadLetter | undefined>;
  /** Puts a dead letter back at the end of the queue. False if there is none. */
  replayDeadLetter(event: string): Promise<boolean>;
  /** Deletes everything, as the webhook was deleted. */
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
