/** `/api/v1/webhooks/{webhook}/dead-letters` */
import type { deadLetters } from "../../../contract/dead-letters.ts";
import { failure } from "../../../oci/errors.ts";
import { formatEvent } from "../../../oci/event-format.ts";
import type { DeadLetter } from "../../../rpc/webhooks-api.ts";
import type { HandlersOf } from "../../operations/handler.ts";
import { findWebhook } from "./find-webhook.ts";

function view({ event, time, attempts, reason }: DeadLetter) {
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

export const deadLetterHandlers: HandlersOf<typeof deadLetters> = {
  "/webhooks/{webhook}/dead-letters": {
    GET: async ({ registry, params, page }) => {
      const found = await findWebhook(registry, params.webhook);
      if (!found.ok) return found;
      const queue = registry.webhookQueue(found.webhook.id);
      const { entries, more } = await queue.deadLetters(page.last, page.limit);
      const next = more ? entries.at(-1)?.event.id : undefined;
      return { status: 200, body: { deadLetters: entries.map(view) }, next };
    },
  },
  "/webhooks/{webhook}/dead-letters/{event}": {
    GET: async ({ registry, params }) => {
      const found = await findWebhook(registry, params.webhook);
      if (!found.ok) return found;
      const letter = await registry.webhookQueue(found.webhook.id).deadLetter(params.event);
      if (letter === undefined) return failure("DEAD_LETTER_UNKNOWN");
      // In the form in which it would be sent now.
      const { contentType, body } = formatEvent(letter.event, found.webhook.format);
      return { status: 200, body: { ...view(letter), contentType, body: JSON.parse(body) } };
    },
  },
  "/webhooks/{webhook}/dead-letters/{event}/replay": {
    POST: async ({ registry, params: { webhook: id, event } }) => {
      const found = await findWebhook(registry, id);
      if (!found.ok) return found;
      const isReplayed = await registry.webhookQueue(id).replayDeadLetter(event);
      if (!isReplayed) return failure("DEAD_LETTER_UNKNOWN");
      return { status: 202, body: { event }, audited: { detail: event } };
    },
  },
};
