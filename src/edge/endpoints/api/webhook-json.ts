/** How webhooks are written in the management API, and what may be in them. */
import type { DeadLetter, QueueState, Webhook, WebhookChange } from "../../../objects/webhooks-api.ts";
import { type Failure, failure, type Result } from "../../../oci/errors.ts";
import { type EventType, eventTypes, isEventType } from "../../../oci/event.ts";
import { eventFormats, formatEvent, isEventFormat } from "../../../oci/event-format.ts";
import { isPattern } from "../../../oci/grant.ts";
import { targetProblem } from "../../../oci/webhook-target.ts";
import { invalidField, type JsonObject } from "./json-body.ts";

/** The fields of a webhook that callers give. */
export const webhookFields = ["url", "events", "repository", "secret", "format", "headers", "disabled"];

const maxSecretLength = 256;
const maxHeaders = 20;
const maxHeaderLength = 1000;

/** What is shown of a webhook: neither its secret nor what its headers say, which may be one. */
export function viewWebhook(webhook: Webhook, state?: QueueState): object {
  const { id, url, events, repository, format, headers, isDisabled, createdAtMs } = webhook;
  return {
    id,
    url,
    events,
    repository,
    format,
    headerNames: Object.keys(headers),
    disabled: isDisabled,
    createdAt: new Date(createdAtMs).toISOString(),
    ...state,
  };
}

/** What a list shows of a dead letter. */
export function viewDeadLetter({ event, time, attempts, reason }: DeadLetter): object {
  const { id, type, repository, target } = event;
  return {
    event: id,
    type,
    repository,
    ...(target.tag === undefined ? {} : { tag: target.tag }),
    ...(target.digest === undefined ? {} : { digest: target.digest }),
    happenedAt: event.time,
    givenUpAt: time,
    attempts,
    reason,
  };
}

/** A dead letter with what was sent, as it would be sent now. */
export function viewWholeDeadLetter(letter: DeadLetter, { format }: Webhook): object {
  const { contentType, body } = formatEvent(letter.event, format);
  return { ...viewDeadLetter(letter), contentType, body: JSON.parse(body) };
}

/** Reads the fields that are there. Error: `REQUEST_INVALID`, which names the first that is wrong. */
export function parseWebhook(json: JsonObject, allowsPrivate: boolean): Result<{ change: WebhookChange }> {
  const change: WebhookChange = {};
  for (const [field, value] of Object.entries(json)) {
    const wrong = parsers[field]?.(value, change, allowsPrivate);
    if (wrong !== undefined) return wrong;
  }
  return { ok: true, change };
}

/** Reads a field into a change; the failure where it is wrong. */
type Parser = (value: unknown, into: WebhookChange, allowsPrivate: boolean) => Failure | undefined;

const parsers: Record<string, Parser> = {
  url: (value, into, allowsPrivate) => {
    if (typeof value !== "string") return invalidField("url", "a URL");
    const problem = targetProblem(value, allowsPrivate);
    if (problem !== undefined) return failure("REQUEST_INVALID", `url is ${problem}`);
    into.url = value;
  },
  events: (value, into) => {
    const types = parseEvents(value);
    if (types === undefined) return invalidField("events", `an array of some of ${eventTypes.join(", ")}`);
    into.events = types;
  },
  repository: (value, into) => {
    if (typeof value !== "string" || !isPattern(value)) {
      return invalidField("repository", "a pattern of repositories, such as team/** or **");
    }
    into.repository = value;
  },
  secret: (value, into) => {
    if (typeof value !== "string" || value === "" || value.length > maxSecretLength) {
      return invalidField("secret", `a text of 1 to ${maxSecretLength} characters`);
    }
    into.secret = value;
  },
  format: (value, into) => {
    if (!isEventFormat(value)) return invalidField("format", `one of ${eventFormats.join(", ")}`);
    into.format = value;
  },
  headers: (value, into) => {
    const headers = parseHeaders(value);
    if (headers === undefined) {
      return invalidField(
        "headers",
        `an object of at most ${maxHeaders} headers, each a text of at most ${maxHeaderLength} printable characters, and none that delivery itself sets`,
      );
    }
    into.headers = headers;
  },
  disabled: (value, into) => {
    if (typeof value !== "boolean") return invalidField("disabled", "true or false");
    into.isDisabled = value;
  },
};

function parseEvents(value: unknown): EventType[] | undefined {
  if (!Array.isArray(value) || value.length === 0 || !value.every(isEventType)) return undefined;
  return [...new Set(value)];
}

const headerName = /^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}$/;
const headerValue = /^[\x20-\x7e]*$/;

/** Headers that say how the message itself is to be read, and those of ours. */
const ownHeaders =
  /^(host|connection|content-.*|transfer-encoding|upgrade|te|trailer|keep-alive|expect|user-agent|cf-.*|stowage-.*)$/i;

function parseHeaders(value: unknown): Record<string, string> | undefined {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return undefined;
  const headers: [string, string][] = [];
  for (const [name, text] of Object.entries(value as Record<string, unknown>)) {
    if (!headerName.test(name) || ownHeaders.test(name)) return undefined;
    if (typeof text !== "string" || text.length > maxHeaderLength || !headerValue.test(text))
      return undefined;
    headers.push([name, text]);
  }
  return headers.length > maxHeaders ? undefined : Object.fromEntries(headers);
}
