/** Every handler of the management API, by resource. The type ensures that none is missing and none is left over. */
import type { contract, ResourceName } from "../../contract/contract.ts";
import { accountHandlers } from "../endpoints/api/accounts.ts";
import { auditHandlers } from "../endpoints/api/audit.ts";
import { deadLetterHandlers } from "../endpoints/api/dead-letters.ts";
import { deletedHandlers } from "../endpoints/api/deleted.ts";
import { explainHandlers } from "../endpoints/api/explain.ts";
import { gcHandlers } from "../endpoints/api/gc.ts";
import { keyHandlers } from "../endpoints/api/keys.ts";
import { manifestHandlers } from "../endpoints/api/manifests.ts";
import { nameIndexHandlers } from "../endpoints/api/name-index.ts";
import { policyHandlers } from "../endpoints/api/policies.ts";
import { replicaHandlers } from "../endpoints/api/replica.ts";
import { repositoryHandlers } from "../endpoints/api/repositories.ts";
import { scrubHandlers } from "../endpoints/api/scrub.ts";
import { searchHandlers } from "../endpoints/api/search.ts";
import { sessionHandlers } from "../endpoints/api/session.ts";
import { tagHandlers } from "../endpoints/api/tags.ts";
import { tokenHandlers } from "../endpoints/api/tokens.ts";
import { uploadHandlers } from "../endpoints/api/uploads.ts";
import { upstreamHandlers } from "../endpoints/api/upstreams.ts";
import { usageHandlers } from "../endpoints/api/usage.ts";
import { viewHandlers } from "../endpoints/api/views.ts";
import { webhookHandlers } from "../endpoints/api/webhooks.ts";
import type { HandlersOf } from "./handler.ts";

export const handlers: { [Name in ResourceName]: HandlersOf<(typeof contract)[Name]> } = {
  accounts: accountHandlers,
  search: searchHandlers,
  sessions: sessionHandlers,
  tokens: tokenHandlers,
  manifests: manifestHandlers,
  tags: tagHandlers,
  views: viewHandlers,
  deletedContent: deletedHandlers,
  policies: policyHandlers,
  repositories: repositoryHandlers,
  explain: explainHandlers,
  audit: auditHandlers,
  webhooks: webhookHandlers,
  deadLetters: deadLetterHandlers,
  keys: keyHandlers,
  gc: gcHandlers,
  uploads: uploadHandlers,
  upstreams: upstreamHandlers,
  usage: usageHandlers,
  scrub: scrubHandlers,
  replica: replicaHandlers,
  nameIndex: nameIndexHandlers,
};
