/** `webhook …` */

import type { WebhookPatch } from "../../contract/webhooks.ts";
import { type EventType, eventTypes, isEventType } from "../../oci/event.ts";
import { type EventFormat, eventFormats } from "../../oci/event-format.ts";
import { isPattern } from "../../oci/pattern.ts";
import { type Command, exitCodes, type Flag, type FlagValues } from "../command.ts";
import { UsageError } from "../errors.ts";
import { pathSegment, quote } from "../format.ts";

const path = "/webhooks/{webhook}";

const of = (id: string) => ({ webhook: pathSegment(id) });

const settings: Flag[] = [
  { name: "event", value: "TYPE", isRepeatable: true, summary: `one of ${eventTypes.join(", ")}` },
  { name: "repository", value: "PATTERN", summary: "of which repositories ('**')" },
  { name: "format", value: "FORMAT", summary: "distribution or cloudevents (distribution)" },
  {
    name: "header",
    value: "NAME:VALUE",
    isRepeatable: true,
    summary: "a header to send along; may be repeated",
  },
  { name: "webhook-secret-stdin", summary: "the secret that signs is on stdin; else one is made" },
];

/** Lists, creates, changes and tests webhooks, and replays events that were not delivered. */
export const webhookCommands: Command[] = [
  {
    name: "webhook list",
    arguments: [],
    flags: [],
    summary: "lists the webhooks",
    run: async ({ api, output }) => {
      const webhooks = await api.list("/webhooks", "webhooks", {});
      const columns = ["ID", "STATE", "REPOSITORY", "FORMAT", "URL", "EVENTS"];
      output.list("there are no webhooks", webhooks, columns, (webhook) => [
        webhook.id,
        webhook.disabled ? "disabled" : "enabled",
        webhook.repository,
        webhook.format,
        webhook.url,
        webhook.events.join(" "),
      ]);
      return exitCodes.done;
    },
  },
  {
    name: "webhook show",
    arguments: ["ID"],
    flags: [],
    summary: "shows a webhook, and how much waits for it",
    run: async ({ api, output, args: [id = ""] }) => {
      const webhook = await api.send("GET", path, { params: of(id) });
      output.record(webhook, [
        ["url", webhook.url],
        ["state", webhook.disabled ? "disabled" : "enabled"],
        ["repository", webhook.repository],
        ["events", webhook.events.join(" ")],
        ["format", webhook.format],
        ["headers", webhook.headerNames.join(" ")],
        ["waiting", String(webhook.waiting ?? 0)],
        ["dead letters", String(webhook.deadLetters ?? 0)],
        ["dropped", String(webhook.dropped ?? 0)],
      ]);
      return exitCodes.done;
    },
  },
  {
    name: "webhook create",
    arguments: ["URL"],
    flags: settings,
    summary: "makes a webhook, and prints its secret",
    details: "The secret stands alone on stdout, and is shown this once. With --json, all there is to it.",
    run: async ({ api, output, flags, readSecret, args: [url = ""] }) => {
      const change = await readSettings(flags, readSecret);
      const { events } = change;
      if (events === undefined) throw new UsageError("--event is needed: what is to be told?");
      const webhook = await api.send("POST", "/webhooks", { body: { url, ...change, events } });
      output.note(`webhook ${webhook.id} is made.`);
      if (webhook.secret === undefined) output.done(`it is signed with the secret that was given`, webhook);
      else output.secret(webhook.secret, webhook);
      return exitCodes.done;
    },
  },
  {
    name: "webhook set",
    arguments: ["ID"],
    flags: [
      { name: "target", value: "URL", summary: "where to send events" },
      ...settings,
      { name: "enable", summary: "sends again, beginning with what waits" },
      { name: "disable", summary: "sends nothing, and notes nothing new" },
    ],
    summary: "changes a webhook in what is given",
    run: async ({ api, output, flags, readSecret, args: [id = ""] }) => {
      if (flags.has("enable") && flags.has("disable")) {
        throw new UsageError("--enable and --disable exclude each other");
      }
      const disabled = flags.has("enable") ? { disabled: false } : {};
      const target = flags.text("target");
      const change = {
        ...(target === undefined ? {} : { url: target }),
        ...(await readSettings(flags, readSecret)),
        ...(flags.has("disable") ? { disabled: true } : disabled),
      };
      if (Object.keys(change).length === 0) {
        throw new UsageError("there is nothing to change; webhook set --help says what can be");
      }
      const webhook = await api.send("PATCH", path, { params: of(id), body: change });
      output.done(`webhook ${id} is changed, and ${webhook.disabled ? "disabled" : "enabled"}`, webhook);
      return exitCodes.done;
    },
  },
  {
    name: "webhook delete",
    arguments: ["ID"],
    flags: [],
    summary: "deletes a webhook, with what waits for it",
    run: async ({ api, output, args: [id = ""] }) => {
      await api.send("DELETE", path, { params: of(id) });
      output.done(`webhook ${id} is deleted`);
      return exitCodes.done;
    },
  },
  {
    name: "webhook ping",
    arguments: ["ID"],
    flags: [],
    summary: "sends an event that says nothing, to see whether it arrives",
    run: async ({ api, output, args: [id = ""] }) => {
      const sent = await api.send("POST", `${path}/ping`, { params: of(id) });
      output.done(`event ${sent.event} is on its way; webhook deliveries ${id} says what came of it`, sent);
      return exitCodes.done;
    },
  },
  {
    name: "webhook deliveries",
    arguments: ["ID"],
    flags: [],
    summary: "lists the latest tries",
    run: async ({ api, output, args: [id = ""] }) => {
      const deliveries = await api.list(`${path}/deliveries`, "deliveries", { params: of(id) });
      const columns = ["TIME", "OUTCOME", "ATTEMPT", "ANSWER", "TYPE", "REPOSITORY", "EVENT"];
      output.list("there are no deliveries", deliveries, columns, (delivery) => [
        delivery.time,
        delivery.outcome,
        String(delivery.attempt),
        delivery.error ?? `status ${delivery.status}`,
        delivery.type,
        delivery.repository,
        delivery.event,
      ]);
      return exitCodes.done;
    },
  },
  {
    name: "webhook dead-letters",
    arguments: ["ID"],
    flags: [],
    summary: "lists the events that were given up",
    run: async ({ api, output, args: [id = ""] }) => {
      const letters = await api.list(`${path}/dead-letters`, "deadLetters", { params: of(id) });
      const columns = ["EVENT", "TYPE", "REPOSITORY", "HAPPENED", "REASON"];
      output.list(
        "there are no dead letters",
        letters,
        columns,
        ({ event, type, repository, happenedAt, reason }) => [event, type, repository, happenedAt, reason],
      );
      return exitCodes.done;
    },
  },
  {
    name: "webhook replay",
    arguments: ["ID", "EVENT"],
    flags: [],
    summary: "sends an event again that was given up",
    run: async ({ api, output, args: [id = "", event = ""] }) => {
      const params = { ...of(id), event: pathSegment(event) };
      await api.send("POST", `${path}/dead-letters/{event}/replay`, { params });
      output.done(`event ${event} waits to be sent again`);
      return exitCodes.done;
    },
  },
];

type Settings = Omit<WebhookPatch, "url" | "disabled">;

async function readSettings(flags: FlagValues, readSecret: () => Promise<string>): Promise<Settings> {
  const change: Settings = {};
  if (flags.has("event")) change.events = flags.list("event").map(parseEvent);
  const repository = flags.text("repository");
  if (repository !== undefined && !isPattern(repository)) {
    throw new UsageError(`${quote(repository)} is no pattern of repositories, such as 'team/**'`);
  }
  if (repository !== undefined) change.repository = repository;
  const format = flags.text("format");
  if (format !== undefined) change.format = parseFormat(format);
  if (flags.has("header")) change.headers = Object.fromEntries(flags.list("header").map(parseHeader));
  if (flags.has("webhook-secret-stdin")) change.secret = await readSecret();
  return change;
}

function parseEvent(text: string): EventType {
  if (isEventType(text)) return text;
  throw new UsageError(`${quote(text)} is no event; there are ${eventTypes.join(", ")}`);
}

function parseFormat(text: string): EventFormat {
  const format = eventFormats.find((known) => known === text);
  if (format !== undefined) return format;
  throw new UsageError(`${quote(text)} is no format; there are ${eventFormats.join(", ")}`);
}

function parseHeader(text: string): [name: string, value: string] {
  const colon = text.indexOf(":");
  if (colon > 0) return [text.slice(0, colon), text.slice(colon + 1).trim()];
  throw new UsageError(`${quote(text)} is no header; write NAME:VALUE`);
}
