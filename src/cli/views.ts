/** What the management API answers with; docs/openapi.json has the same. */
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
};

/** The signing keys, by their ids. */
export type KeysView = { signing: string; verifying: string[] };
