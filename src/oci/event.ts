/**
 * Events: what happens in a repository that others may want to hear of. docs/webhooks.md is for those who listen.
 */

/** What can happen. `manifest.pull` is a sample; all others are complete. */
export const eventTypes = [
  "manifest.push",
  "manifest.pull",
  "manifest.delete",
  "tag.create",
  "tag.move",
  "tag.delete",
  "blob.push",
  "blob.mount",
  "blob.delete",
  "repository.create",
  "repository.delete",
  "repository.visibility",
  "storage.low",
] as const;

/** One of {@link eventTypes}. */
export type EventType = (typeof eventTypes)[number];

/** Whether a value is the type of an event. */
export function isEventType(value: unknown): value is EventType {
  return (eventTypes as readonly unknown[]).includes(value);
}

/** Who caused something, by which request, and which instance of the registry took it. Each is "" where unknown. */
export type Origin = {
  actor: string;
  address: string;
  requestId: string;
  method: string;
  host: string;
  userAgent: string;
  /** The registry's own URL, and the host in it, as `PUBLIC_URL` has them; without a slash at the end. */
  url: string;
  instance: string;
};

/** The origin of what the registry does by itself, such as collection. */
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

/** A descriptor that a manifest holds, as far as events tell of it. */
export type ReferenceDescriptor = { mediaType: string; digest: string; size: number };

/** What an event is about; which fields there are depends on its type. */
export type EventTarget = {
  digest?: string;
  mediaType?: string;
  sizeBytes?: number;
  tag?: string;
  /** What a tag pointed at before. */
  previousDigest?: string;
  /** Where a blob was mounted from. */
  fromRepository?: string;
  visibility?: "private" | "public";
  references?: ReferenceDescriptor[];
  /** Of `storage.low`, which is about no repository: the disk of one machine, in bytes. */
  disk?: { freeBytes: number; totalBytes: number; reserveBytes: number };
};

/** Something that happened. `ping` is sent when somebody tries a webhook. `time` is in ISO 8601. */
export type RegistryEvent = {
  id: string;
  type: EventType | "ping";
  time: string;
  repository: string;
  target: EventTarget;
  origin: Origin;
};
