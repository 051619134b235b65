/** What the management API answers with; docs/openapi.json has the same. */
import type { EventType } from "../oci/event.ts";
import type { EventFormat } from "../oci/event-format.ts";
import type { Grant } from "../oci/grant.ts";

/** An account. */
export type AccountView = {
  name: string;
  grants: Grant[];
  disabled: boolean;
  hasPassword: boolean;
  createdAt: string;
};

/** A generated token; without `grants` it may what its account may. */
export type TokenView = {
  id: string;
  description: string;
  grants?: Grant[];
  createdAt: string;
  expiresAt?: string;
  lastUsed?: string;
};

/** A repository. */
export type RepositoryView = { name: string; visibility: "public" | "private"; description: string };

/** Whether something is allowed, and why. */
export type ExplanationView = { allowed: boolean; reason: string; grant?: Grant };

/** An entry of the audit log. */
export type AuditView = {
  id: number;
  time: string;
  actor: string;
  action: string;
  target: string;
  outcome: string;
  address: string;
  requestId: string;
  detail?: string;
  times?: number;
};

/** The signing keys, by their ids. */
export type KeysView = { signing: string; verifying: string[] };

/** A webhook; `secret` is in the answer alone that made it, and the counts where one webhook is asked for. */
export type WebhookView = {
  id: string;
  url: string;
  events: EventType[];
  repository: string;
  format: EventFormat;
  headerNames: string[];
  disabled: boolean;
  createdAt: string;
  secret?: string;
  waiting?: number;
  deadLetters?: number;
  dropped?: number;
};

/** One try to deliver an event. */
export type DeliveryView = {
  event: string;
  type: string;
  repository: string;
  attempt: number;
  time: string;
  milliseconds: number;
  outcome: string;
  status?: number;
  answer?: string;
  error?: string;
};

/** An event that was given up. */
export type DeadLetterView = {
  event: string;
  type: string;
  repository: string;
  tag?: string;
  digest?: string;
  happenedAt: string;
  givenUpAt: string;
  attempts: number;
  reason: string;
};

/** What collection freed. */
export type FreedView = { manifests: number; links: number; blobs: number; bytes: number; uploads: number };

/** An upload that is under way. */
export type UploadView = {
  id: string;
  repository: string;
  account?: string;
  startedAt?: string;
  lastActiveAt: string;
  bytes: number;
  writing: boolean;
};

/** What was deleted and can come back: of each repository how much, and some of it. */
export type RestorableView = {
  repositories: { name: string; count: number; manifests: { digest: string; tags: string[] }[] }[];
};

/** So many things, of so many bytes. */
export type AmountView = { objects: number; bytes: number };

/** What repositories hold, and, on the first page, all of them do. */
export type UsageView = {
  repositories: {
    name: string;
    tags: number;
    manifests: number;
    blobs: number;
    logical: AmountView;
    stored: AmountView;
  }[];
  total?: { repositories: number; logical: AmountView; stored: AmountView; leaving: AmountView };
};

/** Something that was not as it should be. */
export type FindingView = {
  what: string;
  repository?: string;
  digest?: string;
  tag?: string;
  key?: string;
  detail?: string;
};

/** What a scrub came to. */
export type ScrubView = {
  checked: Record<string, number>;
  repaired: FindingView[];
  problems: FindingView[];
  refused: FindingView[];
  unchecked: FindingView[];
};

/** A move of a tag. */
export type TagMoveView = {
  sequence: number;
  time: string;
  actor: string;
  from: string | null;
  to: string | null;
};

/** A manifest as it is listed. */
export type ManifestView = {
  digest: string;
  mediaType: string;
  size: number;
  pushedAt: string;
  tags: string[];
  artifactType?: string;
};
