/**
 * The formats of events for webhooks: distribution's notifications, and CloudEvents.
 *
 * Sources: distribution, "Work with notifications", media type and fields of an envelope; CloudEvents 1.0.2,
 * "Required Attributes", and its JSON format, "Structured-mode".
 */
import type { RegistryEvent } from "./event.ts";

/** All formats. */
export const eventFormats = ["distribution", "cloudevents"] as const;

/** One of {@link eventFormats}. */
export type EventFormat = (typeof eventFormats)[number];

/** A body to send, and its media type. */
export type FormattedEvent = { contentType: string; body: string };

/** Serialises an event. The same event always gives the same body. */
export function formatEvent(event: RegistryEvent, format: EventFormat): FormattedEvent {
  return format === "distribution"
    ? {
        contentType: "application/vnd.docker.distribution.events.v2+json",
        body: JSON.stringify({ events: [distributionEvent(event)] }),
      }
    : {
        contentType: "application/cloudevents+json; charset=utf-8",
        body: JSON.stringify(cloudEvent(event)),
      };
}

/** distribution's action for an event. Events without one keep our own name, which its listeners ignore. */
function actionOf(type: RegistryEvent["type"]): string {
  switch (type) {
    case "manifest.push":
    case "blob.push":
      return "push";
    case "manifest.pull":
      return "pull";
    case "blob.mount":
      return "mount";
    case "manifest.delete":
    case "tag.delete":
    case "tag.expire":
    case "blob.delete":
    case "repository.delete":
      return "delete";
    default:
      return type;
  }
}

function distributionEvent({ id, type, time, repository, target, origin }: RegistryEvent): object {
  const url = targetUrl({ type, repository, target, origin });
  return {
    id,
    timestamp: time,
    action: actionOf(type),
    target: {
      ...(target.mediaType === undefined ? {} : { mediaType: target.mediaType }),
      // `length` is the older name of `size`.
      ...(target.sizeBytes === undefined ? {} : { size: target.sizeBytes, length: target.sizeBytes }),
      ...(target.digest === undefined ? {} : { digest: target.digest }),
      repository,
      ...(target.fromRepository === undefined ? {} : { fromRepository: target.fromRepository }),
      ...(url === undefined ? {} : { url }),
      ...(target.tag === undefined ? {} : { tag: target.tag }),
      ...(target.references === undefined ? {} : { references: target.references }),
      ...(target.disk === undefined ? {} : { disk: target.disk }),
      ...(target.rule === undefined ? {} : { rule: target.rule }),
      ...(target.expiresAt === undefined ? {} : { expiresAt: target.expiresAt }),
      ...(target.removes === undefined ? {} : { removes: target.removes }),
    },
    request: {
      id: origin.requestId,
      addr: origin.address,
      host: origin.host,
      method: origin.method,
      useragent: origin.userAgent,
    },
    actor: { name: origin.actor },
    source: { addr: origin.host, instanceID: origin.instance },
  };
}

function cloudEvent(event: RegistryEvent): object {
  const { id, type, time, repository, target, origin } = event;
  const { sizeBytes, ...described } = target;
  const url = targetUrl(event);
  const subject = target.tag ?? target.digest;
  return {
    specversion: "1.0",
    id,
    type: `stowage.${type}`,
    source: `${origin.url}/v2/${repository}`,
    time,
    ...(subject === undefined ? {} : { subject }),
    datacontenttype: "application/json",
    data: {
      repository,
      ...described,
      ...(sizeBytes === undefined ? {} : { size: sizeBytes }),
      ...(url === undefined ? {} : { url }),
      actor: { name: origin.actor },
      request: {
        id: origin.requestId,
        address: origin.address,
        host: origin.host,
        method: origin.method,
        userAgent: origin.userAgent,
      },
      source: { address: origin.host, instance: origin.instance },
    },
  };
}

/** The URL of the content; deleted content has none. */
function targetUrl({
  type,
  repository,
  target,
  origin,
}: Pick<RegistryEvent, "type" | "repository" | "target" | "origin">): string | undefined {
  const isGone = type.endsWith(".delete");
  if (target.digest === undefined || origin.url === "" || isGone) return undefined;
  const kind = type.startsWith("blob.") ? "blobs" : "manifests";
  return `${origin.url}/v2/${repository}/${kind}/${target.digest}`;
}
