/**
 * Events of repositories, for webhooks. docs/webhooks.md describes them for receivers.
 */

/** The types of events. `manifest.pull` is sampled; all others are complete. */
export const eventTypes = [
  "manifest.push",
  "manifest.pull",
  "manifest.delete",
  "tag.create",
  "tag.move",
  "tag.delete",
  "tag.expire",
  "tag.expiring",
  "blob.push",
  "blob.mount",
  "blob.delete",
  "repository.create",
  "repository.delete",
  "repository.visibility",
  "retention.waiting",
  "storage.low",
  "upstream.fetch",
  "upstream.stale",
  "upstream.denied",
  "upstream.evict",
] as const;

/** One of {@link eventTypes}. */
export type EventType = (typeof eventTypes)[number];

/** Whether a value is the type of an event. */
export function isEventType(value: unknown): value is EventType {
  return (eventTypes as readonly unknown[]).includes(value);
}

/** The actor and request that caused an event, and the instance of the registry. Each field is "" if unknown. */
export type Origin = {
  actor: string;
  address: string;
  requestId: string;
  method: string;
  host: string;
  userAgent: string;
  /** The registry's own URL and its host, from `PUBLIC_URL`; without a slash at the end. */
  url: string;
  instance: string;
};

/** The origin of the registry's own actions, such as collection. */
export const registryItself: Origin = {
  actor: "registry",
  address: "",
  requestId: "",
  method: "",
  host: "",
  userAgent: "",
  url: "",
  instance: "",
};

/** The origin of what retention removes. */
export const policyItself: Origin = { ...registryItself, actor: "policy" };

/** The fields of a descriptor that events have. */
export type ReferenceDescriptor = { mediaType: string; digest: string; size: number };

/** What an event is about; the fields depend on its type. */
export type EventTarget = {
  digest?: string;
  mediaType?: string;
  sizeBytes?: number;
  tag?: string;
  /** The digest that the tag pointed at before. */
  previousDigest?: string;
  /** The repository that the blob was mounted from. */
  fromRepository?: string;
  visibility?: "private" | "public";
  references?: ReferenceDescriptor[];
  /** The rule by which a tag is removed, as its place in the policy document. */
  rule?: string;
  /** When a tag stops to be kept, in ISO 8601. */
  expiresAt?: string;
  /** How many tags a run of retention would remove. */
  removes?: number;
  /** Only of `storage.low`, which has no repository: the disk of one machine, in bytes. */
  disk?: { freeBytes: number; totalBytes: number; reserveBytes: number };
};

/** An event. `ping` is sent to test a webhook. `time` is in ISO 8601. */
export type RegistryEvent = {
  id: string;
  type: EventType | "ping";
  time: string;
  repository: string;
  target: EventTarget;
  origin: Origin;
};
