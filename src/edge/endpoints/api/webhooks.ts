/** `/api/v1/webhooks`: who is told of what happens, and how that goes. */
import type { Webhook } from "../../../objects/webhooks-api.ts";
import { failure, type Result } from "../../../oci/errors.ts";
import type { RegistryEvent } from "../../../oci/event.ts";
import { parsePage } from "../../../oci/http.ts";
import { audit } from "../../auth/audit.ts";
import { type Answer, type Context, eventOrigin, jsonReply } from "../../context.ts";
import { linkHeader } from "../../respond.ts";
import { invalidField, readJson } from "./json-body.ts";
import {
  parseWebhook,
  viewDeadLetter,
  viewWebhook,
  viewWholeDeadLetter,
  webhookFields,
} from "./webhook-json.ts";

const maxDeliveriesPage = 200;
const maxDeadLettersPage = 1000;

/** Lists webhooks, oldest first. */
export async function listWebhooks({ registry }: Context): Promise<Answer> {
  const webhooks = await registry.webhooks().listWebhooks();
  return jsonReply({ webhooks: webhooks.map((webhook) => viewWebhook(webhook)) });
}

/** Makes a webhook. Where no secret was given, one is made, and is in this answer and nowhere else. */
export async function createWebhook(context: Context): Promise<Answer> {
  const { registry } = context;
  const body = await readJson(context, webhookFields);
  if (!body.ok) return { failure: body };
  const parsed = parseWebhook(body.json, registry.settings.webhookAllowsPrivate);
  if (!parsed.ok) return { failure: parsed };
  const { url, events, ...others } = parsed.change;
  if (url === undefined) return { failure: invalidField("url", "given") };
  if (events === undefined) return { failure: invalidField("events", "given") };
  const secret = Buffer.from(crypto.getRandomValues(new Uint8Array(32))).toString("base64url");
  const webhook: Webhook = {
    repository: "**",
    format: "distribution",
    secret,
    headers: {},
    isDisabled: false,
    ...others,
    id: crypto.randomUUID(),
    url,
    events,
    createdAtMs: registry.clock.now(),
  };
  if (!(await registry.webhooks().addWebhook(webhook))) {
    return { failure: failure("REQUEST_INVALID", "there are as many webhooks as there may be: delete one") };
  }
  registry.pullEvents.forgetListeners();
  noteChange(context, "webhook.create", webhook);
  await untilHeard(context);
  const shown = others.secret === undefined ? { secret } : {};
  return { ...jsonReply({ ...viewWebhook(webhook), ...shown }), status: 201 };
}

/** Waits for as long as ledgers may have been told that nobody listens: what happens after the answer is heard of. */
function untilHeard({ registry }: Context): Promise<void> {
  return scheduler.wait(registry.settings.eventQuietMs);
}

/** Shows a webhook, and how much waits in its queue. */
export async function getWebhook(context: Context): Promise<Answer> {
  const found = await findWebhook(context);
  if (!found.ok) return { failure: found };
  const state = await context.registry.webhookQueue(found.webhook.id).state();
  return jsonReply(viewWebhook(found.webhook, state));
}

/** Changes a webhook; what is left out stays. */
export async function changeWebhook(context: Context): Promise<Answer> {
  const { registry, params } = context;
  const body = await readJson(context, webhookFields);
  if (!body.ok) return { failure: body };
  const parsed = parseWebhook(body.json, registry.settings.webhookAllowsPrivate);
  if (!parsed.ok) return { failure: parsed };
  const changed = await registry.webhooks().changeWebhook(params.webhook ?? "", parsed.change);
  if (changed === undefined) return { failure: failure("WEBHOOK_UNKNOWN") };
  registry.pullEvents.forgetListeners();
  noteChange(context, "webhook.change", changed);
  if (!changed.isDisabled) await untilHeard(context);
  return jsonReply(viewWebhook(changed));
}

/** Deletes a webhook, with what waits in its queue and its dead letters. */
export async function removeWebhook(context: Context): Promise<Answer> {
  const found = await findWebhook(context);
  if (!found.ok) return { failure: found };
  const { registry } = context;
  if (!(await registry.webhooks().removeWebhook(found.webhook.id)))
    return { failure: failure("WEBHOOK_UNKNOWN") };
  registry.pullEvents.forgetListeners();
  noteChange(context, "webhook.delete", found.webhook);
  return { status: 204 };
}

/** Sends an event that says nothing, to see whether it arrives. */
export async function pingWebhook(context: Context): Promise<Answer> {
  const found = await findWebhook(context);
  if (!found.ok) return { failure: found };
  const { webhook } = found;
  if (webhook.isDisabled) return { failure: failure("REQUEST_INVALID", "the webhook is disabled") };
  const { registry } = context;
  const event: RegistryEvent = {
    id: crypto.randomUUID(),
    type: "ping",
    time: new Date(registry.clock.now()).toISOString(),
    repository: "",
    target: {},
    origin: eventOrigin(context),
  };
  await registry.webhookQueue(webhook.id).receive(webhook, [event]);
  return { ...jsonReply({ event: event.id }), status: 202 };
}

/** Lists the latest tries, newest first. */
export async function listDeliveries(context: Context): Promise<Answer> {
  const found = await findWebhook(context);
  if (!found.ok) return { failure: found };
  const page = parsePage(context.url.searchParams);
  if (page === undefined) return { failure: failure("PAGE_INVALID") };
  const limit = Math.min(page.limit, maxDeliveriesPage);
  const deliveries = await context.registry.webhookQueue(found.webhook.id).deliveries(limit);
  return jsonReply({ deliveries });
}

/** Lists what was given up, newest first; `last` is the event to go on from. */
export async function listDeadLetters(context: Context): Promise<Answer> {
  const found = await findWebhook(context);
  if (!found.ok) return { failure: found };
  const { registry, url } = context;
  const page = parsePage(url.searchParams);
  if (page === undefined) return { failure: failure("PAGE_INVALID") };
  const limit = Math.min(page.limit, maxDeadLettersPage);
  const { entries, more } = await registry.webhookQueue(found.webhook.id).deadLetters(page.last, limit);
  const deadLetters = entries.map(viewDeadLetter);
  return jsonReply({ deadLetters }, linkHeader(url, { ...page, limit }, more, entries.at(-1)?.event.id));
}

/** Shows what was given up, with what was to be sent. */
export async function getDeadLetter(context: Context): Promise<Answer> {
  const found = await findWebhook(context);
  if (!found.ok) return { failure: found };
  const { webhook } = found;
  const letter = await context.registry.webhookQueue(webhook.id).deadLetter(context.params.event ?? "");
  return letter === undefined
    ? { failure: failure("DEAD_LETTER_UNKNOWN") }
    : jsonReply(viewWholeDeadLetter(letter, webhook));
}

/** Puts what was given up back into the queue, under the same id. */
export async function replayDeadLetter(context: Context): Promise<Answer> {
  const found = await findWebhook(context);
  if (!found.ok) return { failure: found };
  const { webhook } = found;
  const event = context.params.event ?? "";
  const isReplayed = await context.registry.webhookQueue(webhook.id).replayDeadLetter(event);
  if (!isReplayed) return { failure: failure("DEAD_LETTER_UNKNOWN") };
  noteChange(context, "webhook.replay", webhook, event);
  return { ...jsonReply({ event }), status: 202 };
}

/** The webhook that the path names. Error: `WEBHOOK_UNKNOWN`. */
async function findWebhook({ registry, params }: Context): Promise<Result<{ webhook: Webhook }>> {
  const webhook = await registry.webhooks().webhook(params.webhook ?? "");
  return webhook === undefined ? failure("WEBHOOK_UNKNOWN") : { ok: true, webhook };
}

/** Of the URL no more than its host is written down: its path or query may be a secret. */
function noteChange(context: Context, action: string, { id, url }: Webhook, detail?: string): void {
  audit(context, { action, target: id, outcome: "done", detail: detail ?? new URL(url).host });
}
