/** `/api/v1/webhooks` */
import type { webhooks } from "../../../contract/webhooks.ts";
import { type Failure, failure } from "../../../oci/errors.ts";
import type { RegistryEvent } from "../../../oci/event.ts";
import { targetProblem } from "../../../oci/webhook-target.ts";
import type { Registry } from "../../../registry/registry.ts";
import type { QueueState, Webhook } from "../../../rpc/webhooks-api.ts";
import { eventOrigin } from "../../context.ts";
import type { HandlersOf } from "../../operations/handler.ts";
import { findWebhook, hostOf } from "./find-webhook.ts";

function view({ id, url, events, repository, format, headers, isDisabled, createdAtMs }: Webhook) {
  return {
    id,
    url,
    events,
    repository,
    format,
    headerNames: Object.keys(headers),
    disabled: isDisabled,
    createdAt: new Date(createdAtMs).toISOString(),
  };
}

function viewWithState(webhook: Webhook, { waiting, deadLetters, dropped }: QueueState) {
  return { ...view(webhook), waiting, deadLetters, dropped };
}

export const webhookHandlers: HandlersOf<typeof webhooks> = {
  "/webhooks": {
    GET: async ({ registry }) => {
      const found = await registry.webhooks().listWebhooks();
      return { status: 200, body: { webhooks: found.map(view) } };
    },

    POST: async ({ registry, body: { disabled, ...body } }) => {
      const refusal = refusalOfUrl(registry, body.url);
      if (refusal !== undefined) return refusal;
      const secret = Buffer.from(crypto.getRandomValues(new Uint8Array(32))).toString("base64url");
      const webhook: Webhook = {
        id: crypto.randomUUID(),
        url: body.url,
        events: body.events,
        repository: body.repository ?? "**",
        format: body.format ?? "distribution",
        secret: body.secret ?? secret,
        headers: body.headers ?? {},
        isDisabled: disabled ?? false,
        createdAtMs: registry.clock.now(),
      };
      if (!(await registry.webhooks().addWebhook(webhook))) {
        return failure("REQUEST_INVALID", "there are as many webhooks as there may be: delete one");
      }
      registry.pullEvents.forgetListeners();
      return {
        status: 201,
        body: { ...view(webhook), ...(body.secret === undefined ? { secret } : {}) },
        audited: { webhook: webhook.id, detail: hostOf(webhook) },
        ready: untilHeard(registry),
      };
    },
  },
  "/webhooks/{webhook}": {
    GET: async ({ registry, params }) => {
      const found = await findWebhook(registry, params.webhook);
      if (!found.ok) return found;
      const state = await registry.webhookQueue(found.webhook.id).state();
      return { status: 200, body: viewWithState(found.webhook, state) };
    },

    PATCH: async ({ registry, params, body: { disabled, ...change } }) => {
      const refusal = change.url === undefined ? undefined : refusalOfUrl(registry, change.url);
      if (refusal !== undefined) return refusal;
      const isDisabled = disabled === undefined ? {} : { isDisabled: disabled };
      const changed = await registry.webhooks().changeWebhook(params.webhook, { ...change, ...isDisabled });
      if (changed === undefined) return failure("WEBHOOK_UNKNOWN");
      registry.pullEvents.forgetListeners();
      return {
        status: 200,
        body: view(changed),
        audited: { detail: hostOf(changed) },
        ...(changed.isDisabled ? {} : { ready: untilHeard(registry) }),
      };
    },

    DELETE: async ({ registry, params }) => {
      const found = await findWebhook(registry, params.webhook);
      if (!found.ok) return found;
      if (!(await registry.webhooks().removeWebhook(found.webhook.id))) return failure("WEBHOOK_UNKNOWN");
      registry.pullEvents.forgetListeners();
      return { status: 204, audited: { detail: hostOf(found.webhook) } };
    },
  },
  "/webhooks/{webhook}/ping": {
    POST: async (call) => {
      const { registry, params } = call;
      const event: RegistryEvent = {
        id: crypto.randomUUID(),
        type: "ping",
        time: new Date(registry.clock.now()).toISOString(),
        repository: "",
        target: {},
        origin: eventOrigin(call),
      };
      const webhook = await registry.webhooks().pingWebhook(params.webhook, event);
      if (webhook === undefined) return failure("WEBHOOK_UNKNOWN");
      if (webhook.isDisabled) return failure("REQUEST_INVALID", "the webhook is disabled");
      return { status: 202, body: { event: event.id } };
    },
  },
  "/webhooks/{webhook}/deliveries": {
    GET: async ({ registry, params, page }) => {
      const found = await findWebhook(registry, params.webhook);
      if (!found.ok) return found;
      const deliveries = await registry.webhookQueue(found.webhook.id).deliveries(page.limit);
      return { status: 200, body: { deliveries } };
    },
  },
};

/** Waits until no ledger can still have cached that nobody listens. Events after the answer are then delivered. */
function untilHeard({ settings }: Registry): Promise<void> {
  return scheduler.wait(settings.eventQuietMs);
}

/** Why events may not be sent to a URL, if so. */
function refusalOfUrl({ settings }: Registry, url: string): Failure | undefined {
  const problem = targetProblem(url, settings.webhookAllowsPrivate);
  return problem === undefined ? undefined : failure("REQUEST_INVALID", `url is ${problem}`);
}
