/** `/webhooks`: who is told of what happens. */
import * as v from "valibot";
import { eventTypes } from "../oci/event.ts";
import { eventFormats } from "../oci/event-format.ts";
import { isPattern } from "../oci/pattern.ts";
import type { Resource } from "./operation.ts";
import { count, must, type Refused, time, yesOrNo } from "./schemas.ts";

const maxUrlLength = 2000;
const maxSecretLength = 256;
const maxHeaders = 20;
const maxHeaderLength = 1000;

const headerName = /^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}$/;
const headerValue = /^[\x20-\x7e]*$/;

/** Headers that say how the message itself is to be read, and those of ours. */
const ownHeaders =
  /^(host|connection|content-.*|transfer-encoding|upgrade|te|trailer|keep-alive|expect|user-agent|cf-.*|stowage-.*)$/i;

/** A kind of event. */
export const eventType = v.picklist(eventTypes);

const url = v.pipe(
  v.string(),
  v.maxLength(maxUrlLength),
  v.url(),
  v.description(
    "Where to send events: https, and no private address, unless WEBHOOK_ALLOW_PRIVATE allows them.",
  ),
);

const shown = {
  id: v.string(),
  url,
  events: v.pipe(v.array(eventType), v.minLength(1)),
  repository: v.string(),
  format: v.picklist(eventFormats),
  headerNames: v.array(v.string()),
  disabled: v.boolean(),
  createdAt: time,
};

/** What is shown of a webhook: neither its secret nor what its headers say, which may be one. */
export const webhook = v.object(shown);

/** A webhook as it was made. */
export const newWebhook = v.object({
  ...shown,
  secret: v.optional(v.pipe(v.string(), v.description("Unless one was given."))),
});

/** One try to deliver an event. */
export const delivery = v.object({
  event: v.string(),
  type: v.pipe(v.string(), v.description("A type of event, or `ping`.")),
  repository: v.string(),
  attempt: v.pipe(v.number(), v.integer(), v.minValue(1)),
  time,
  milliseconds: count,
  outcome: v.picklist(["delivered", "failed", "given up"]),
  status: v.optional(
    v.pipe(v.number(), v.integer(), v.description("The status of the answer, if there was one.")),
  ),
  answer: v.optional(v.pipe(v.string(), v.description("The beginning of the answer: at most 1,024 bytes."))),
  error: v.optional(v.pipe(v.string(), v.description("Why there was no answer."))),
});

/** A webhook, and how it fares. */
export const webhookDetails = v.object({
  ...shown,
  waiting: count,
  deadLetters: count,
  dropped: v.pipe(count, v.description("Dead letters that are gone, as there were too many.")),
});

/** Whether these are headers to send along, none of which delivery itself sets. */
function areHeaders(value: unknown): value is Record<string, string> {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return false;
  const entries = Object.entries(value);
  return entries.length <= maxHeaders && entries.every(([name, text]) => isHeader(name, text));
}

function isHeader(name: string, text: unknown): boolean {
  if (!headerName.test(name) || ownHeaders.test(name)) return false;
  return typeof text === "string" && text.length <= maxHeaderLength && headerValue.test(text);
}

const optionalSettings = {
  repository: v.exactOptional(
    must(
      "a pattern of repositories, such as team/** or **",
      v.pipe(
        v.string(),
        v.check(isPattern),
        v.description("A pattern, as in grants. Left out of a new webhook, it is `**`."),
      ),
    ),
  ),
  secret: v.exactOptional(
    must(
      `a text of 1 to ${maxSecretLength} characters`,
      v.pipe(
        v.string(),
        v.minLength(1),
        v.maxLength(maxSecretLength),
        v.description(
          "What signs: 1 to 256 characters. Left out of a new webhook, one is made. It is never shown again.",
        ),
      ),
    ),
  ),
  format: v.exactOptional(
    must(
      `one of ${eventFormats.join(", ")}`,
      v.pipe(
        v.picklist(eventFormats),
        v.description("`distribution` or `cloudevents`. Left out of a new webhook, it is `distribution`."),
      ),
    ),
  ),
  headers: v.exactOptional(
    must(
      `an object of at most ${maxHeaders} headers, each a text of at most ${maxHeaderLength} printable characters, and none that delivery itself sets`,
      v.pipe(
        v.custom<Record<string, string>>(areHeaders),
        v.metadata({
          jsonSchema: {
            type: "object",
            maxProperties: maxHeaders,
            additionalProperties: { type: "string", maxLength: maxHeaderLength },
          },
        }),
        v.description("At most 20 headers to send along. Their values are never shown again."),
      ),
    ),
  ),
  disabled: v.exactOptional(
    v.pipe(yesOrNo, v.description("`true`: nothing is sent, and nothing new is noted.")),
  ),
};

// What is wrong with a URL that is one, the handler says: it depends on a setting.
const givenUrl = must(
  `a URL of at most ${maxUrlLength} characters`,
  v.pipe(
    v.string(),
    v.maxLength(maxUrlLength),
    v.metadata({ jsonSchema: { format: "uri" } }),
    v.description("Where to send events: https, and no private address, unless `WEBHOOK_ALLOW_PRIVATE=yes`."),
  ),
);

const givenEvents = v.pipe(
  v.array(eventType),
  v.minLength(1),
  v.description("Some of those in [webhooks.md](webhooks.md)."),
  v.metadata({ refused: { expected: `an array of some of ${eventTypes.join(", ")}` } satisfies Refused }),
  v.transform((types) => [...new Set(types)]),
);

/** What a webhook is to be. */
export const webhookPost = v.strictObject({ url: givenUrl, events: givenEvents, ...optionalSettings });

/** What is to be changed of a webhook. */
export const webhookPatch = v.strictObject({
  url: v.exactOptional(givenUrl),
  events: v.exactOptional(givenEvents),
  ...optionalSettings,
});

/** What callers write to change a webhook. */
export type WebhookPatch = v.InferInput<typeof webhookPatch>;

const sentEvent = v.object({ event: v.pipe(v.string(), v.description("The id of the event.")) });

export const webhooks = {
  "/webhooks": {
    name: "webhooks",
    GET: {
      id: "listWebhooks",
      summary: "Lists the webhooks, oldest first",
      details: "Not paged: there are at most 100.",
      access: "administrator",
      answers: {
        200: {
          description: "The webhooks, without their secrets",
          body: v.object({ webhooks: v.array(webhook) }),
        },
      },
    },
    POST: {
      id: "createWebhook",
      summary: "Makes a webhook",
      details: "It answers after `EVENT_QUIET` (5 s): what happens from then on is told.",
      access: "administrator",
      audit: { action: "webhook.create", target: "{webhook}" },
      body: webhookPost,
      answers: {
        201: {
          description: "Made. A secret that was made with it is in this answer alone.",
          body: newWebhook,
        },
      },
    },
  },
  "/webhooks/{webhook}": {
    name: "webhook",
    GET: {
      id: "getWebhook",
      summary: "Shows a webhook, and how much waits for it",
      access: "administrator",
      answers: { 200: { description: "The webhook", body: webhookDetails } },
    },
    PATCH: {
      id: "changeWebhook",
      summary: "Changes a webhook",
      details:
        "What is left out stays; what waits is tried at once. It answers after `EVENT_QUIET`, unless the webhook is disabled.",
      access: "administrator",
      audit: { action: "webhook.change", target: "{webhook}" },
      body: webhookPatch,
      answers: { 200: { description: "The webhook as it now is", body: webhook } },
    },
    DELETE: {
      id: "deleteWebhook",
      summary: "Deletes a webhook, with what waits for it",
      access: "administrator",
      audit: { action: "webhook.delete", target: "{webhook}" },
      answers: { 204: { description: "Deleted" } },
    },
  },
  "/webhooks/{webhook}/ping": {
    name: "webhook-ping",
    POST: {
      id: "pingWebhook",
      summary: "Sends an event that says nothing, to see whether it arrives",
      access: "administrator",
      audit: "none",
      answers: { 202: { description: "It is on its way", body: sentEvent } },
      errors: ["REQUEST_INVALID"],
    },
  },
  "/webhooks/{webhook}/deliveries": {
    name: "webhook-deliveries",
    GET: {
      id: "listDeliveries",
      summary: "Lists the latest tries, newest first",
      details: "The latest 200 are kept.",
      access: "administrator",
      page: { most: 200, last: "none" },
      answers: { 200: { description: "At most 200", body: v.object({ deliveries: v.array(delivery) }) } },
    },
  },
} as const satisfies Resource;
