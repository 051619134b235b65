/** `/webhooks/{webhook}/dead-letters`: events that were given up. */
import * as v from "valibot";
import type { Resource } from "./operation.ts";
import { count, time } from "./schemas.ts";

const fields = {
  event: v.pipe(v.string(), v.description("The id of the event.")),
  type: v.string(),
  repository: v.string(),
  tag: v.optional(v.string()),
  digest: v.optional(v.string()),
  happenedAt: time,
  givenUpAt: time,
  attempts: count,
  reason: v.string(),
};

/** What a list shows of a dead letter. */
export const deadLetter = v.object(fields);

/** A dead letter with what was to be sent. */
export const wholeDeadLetter = v.object({
  ...fields,
  contentType: v.string(),
  body: v.pipe(v.looseObject({}), v.description("What would be sent now.")),
});

export const deadLetters = {
  "/webhooks/{webhook}/dead-letters": {
    name: "dead-letters",
    GET: {
      id: "listDeadLetters",
      summary: "Lists the events that were given up, newest first",
      details: "The latest 10,000 are kept.",
      access: "administrator",
      page: { most: 1000, last: "text" },
      answers: {
        200: { description: "A page of at most 1,000", body: v.object({ deadLetters: v.array(deadLetter) }) },
      },
    },
  },
  "/webhooks/{webhook}/dead-letters/{event}": {
    name: "dead-letter",
    GET: {
      id: "getDeadLetter",
      summary: "Shows an event that was given up, with what was to be sent",
      access: "administrator",
      answers: { 200: { description: "The event", body: wholeDeadLetter } },
    },
  },
  "/webhooks/{webhook}/dead-letters/{event}/replay": {
    name: "replay",
    POST: {
      id: "replayDeadLetter",
      summary: "Puts an event that was given up back into the queue, under the same id",
      access: "administrator",
      audit: { action: "webhook.replay", target: "{webhook}" },
      answers: {
        202: {
          description: "It waits to be sent",
          body: v.object({ event: v.pipe(v.string(), v.description("The id of the event.")) }),
        },
      },
    },
  },
} as const satisfies Resource;
