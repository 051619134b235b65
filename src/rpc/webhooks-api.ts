/**
 * What the objects that deliver events say to each other and to the Worker; see api.ts.
 *
 * The ledgers hand their events to `Webhooks`, which knows who listens and passes them on; each webhook has a
 * `WebhookQueue` of its own, which sends them. So no slow listener is in the way of a push, or of another listener.
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
   * Takes events over, in their order, for all webhooks that want them. Says whether any may want this repository's;
   * where none does, none will for `quietMs` from the call on: whoever makes a webhook waits for as long
   * (`EVENT_QUIET`). An earlier release does not say that.
   */
  accept(repository: string, events: RegistryEvent[]): Promise<Attention>;
  /** Patterns of the repositories whose pulls somebody wants to hear of. */
  pullPatterns(): Promise<string[]>;
  /** False when there are as many as there may be. */
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

/** How a webhook fares. `dropped`: dead letters that are gone, as there were too many. */
export type QueueState = { waiting: number; deadLetters: number; dropped: number };

/** How many tries to deliver came to what. */
export type TryCounts = Record<Delivery["outcome"], number>;

/** The queue of one webhook. */
export interface WebhookQueueApi {
  /** Learns what the webhook now is, and takes events over, in their order. One that is waiting is not taken twice. */
  receive(webhook: Webhook, events: RegistryEvent[]): Promise<void>;
  state(): Promise<QueueState>;
  /** How it fares, with all tries since it was made. */
  counts(): Promise<QueueState & { tries: TryCounts }>;
  /** The latest tries, newest first. */
  deliveries(limit: number): Promise<Delivery[]>;
  /** Dead letters, newest first, after the one of the event `last` ("" for the newest). */
  deadLetters(last: string, limit: number): Promise<Page<DeadLetter>>;
  deadLetter(event: string): Promise<DeadLetter | undefined>;
  /** Puts a dead letter back at the end of the queue. False when there is no such. */
  replayDeadLetter(event: string): Promise<boolean>;
  /** Forgets all there is: the webhook was deleted. */
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
