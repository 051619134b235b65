/**
 * Every route of the registry, as a table: its pattern, and for each method what it needs and who answers.
 *
 * GET also answers HEAD. Patterns match more than they should: names are validated after matching. Where two
 * patterns match, the first one counts.
 */
import { catalogScope } from "../oci/scope.ts";
import { base, healthz, readyz, root } from "./endpoints/about.ts";
import {
  createToken,
  getAccount,
  listAccounts,
  listTokens,
  putAccount,
  removeAccount,
  removeToken,
} from "./endpoints/api/accounts.ts";
import { explain, listAudit, rotateKeys } from "./endpoints/api/administration.ts";
import { getRestorable, getUsage, postGc, postRebuild, postScrub } from "./endpoints/api/maintenance.ts";
import { listUploads, removeUpload } from "./endpoints/api/open-uploads.ts";
import {
  getRepository,
  patchRepository,
  removeRepository,
  searchRepositories,
} from "./endpoints/api/repositories.ts";
import { getManifests, getTagHistory, postManifestRestore, postTagRestore } from "./endpoints/api/undo.ts";
import {
  changeWebhook,
  createWebhook,
  getDeadLetter,
  getWebhook,
  listDeadLetters,
  listDeliveries,
  listWebhooks,
  pingWebhook,
  removeWebhook,
  replayDeadLetter,
} from "./endpoints/api/webhooks.ts";
import { pullBlob, removeBlob } from "./endpoints/blobs.ts";
import { catalog } from "./endpoints/catalog.ts";
import { pullManifest, putManifest, removeManifest } from "./endpoints/manifests.ts";
import { metrics } from "./endpoints/metrics.ts";
import { referrers } from "./endpoints/referrers.ts";
import { tags } from "./endpoints/tags.ts";
import { getToken, jwks, postToken } from "./endpoints/token.ts";
import { cancel, getUpload, openUpload, patchUpload, putUpload } from "./endpoints/uploads.ts";
import type { Route } from "./route.ts";

export const routes: Route[] = [
  { name: "base", path: "/v2/", of: "registry", methods: { GET: base } },
  {
    name: "catalog",
    path: "/v2/_catalog",
    of: "registry",
    scope: catalogScope,
    methods: { GET: catalog },
  },
  { name: "root", path: "/", of: "health", methods: { GET: root } },
  { name: "health", path: "/healthz", of: "health", isProbe: true, methods: { GET: healthz } },
  { name: "readiness", path: "/readyz", of: "health", isProbe: true, methods: { GET: readyz } },
  {
    name: "metrics",
    path: "/metrics",
    of: "management",
    isProbe: true,
    methods: { GET: { openTo: "scraper", answer: metrics } },
  },
  {
    name: "token",
    path: "/token",
    of: "public",
    // Whom a token to push was issued to is in the audit log.
    isTraced: true,
    methods: { GET: getToken, POST: postToken },
  },
  { name: "jwks", path: "/.well-known/jwks.json", of: "public", methods: { GET: jwks } },
  {
    name: "uploads",
    path: "/v2/:name+/blobs/uploads/",
    of: "repository",
    methods: { POST: { needs: "push", stores: true, answer: openUpload } },
  },
  {
    name: "upload",
    path: "/v2/:name+/blobs/uploads/:session",
    of: "repository",
    methods: {
      GET: { needs: "push", answer: getUpload },
      PATCH: { needs: "push", stores: true, answer: patchUpload },
      PUT: { needs: "push", stores: true, answer: putUpload },
      DELETE: { needs: "push", answer: cancel },
    },
  },
  {
    name: "blob",
    path: "/v2/:name+/blobs/:digest",
    of: "repository",
    isContent: true,
    methods: {
      GET: { needs: "pull", answer: pullBlob },
      DELETE: { needs: "delete", answer: removeBlob },
    },
  },
  {
    name: "manifest",
    path: "/v2/:name+/manifests/:reference",
    of: "repository",
    isContent: true,
    methods: {
      GET: { needs: "pull", answer: pullManifest },
      PUT: { needs: "push", stores: true, answer: putManifest },
      DELETE: { needs: "delete", answer: removeManifest },
    },
  },
  {
    name: "tags",
    path: "/v2/:name+/tags/list",
    of: "repository",
    methods: { GET: { needs: "pull", answer: tags } },
  },
  {
    name: "referrers",
    path: "/v2/:name+/referrers/:digest",
    of: "repository",
    methods: { GET: { needs: "pull", answer: referrers } },
  },
  {
    name: "accounts",
    path: "/api/v1/accounts",
    of: "management",
    methods: { GET: { openTo: "administrator", answer: listAccounts } },
  },
  {
    name: "account",
    path: "/api/v1/accounts/:account",
    of: "management",
    methods: {
      GET: { openTo: "own account", answer: getAccount },
      PUT: { openTo: "administrator", answer: putAccount },
      DELETE: { openTo: "administrator", answer: removeAccount },
    },
  },
  {
    name: "account-tokens",
    path: "/api/v1/accounts/:account/tokens",
    of: "management",
    methods: {
      GET: { openTo: "own account", answer: listTokens },
      POST: { openTo: "own account", answer: createToken },
    },
  },
  {
    name: "account-token",
    path: "/api/v1/accounts/:account/tokens/:token",
    of: "management",
    methods: { DELETE: { openTo: "own token", answer: removeToken } },
  },
  {
    name: "repositories",
    path: "/api/v1/repositories",
    of: "management",
    methods: { GET: { openTo: "account", answer: searchRepositories } },
  },
  {
    name: "repository-manifests",
    path: "/api/v1/repositories/:name+/manifests",
    of: "management",
    methods: { GET: { openTo: "account", answer: getManifests } },
  },
  {
    name: "tag-history",
    path: "/api/v1/repositories/:name+/tags/:tag/history",
    of: "management",
    methods: { GET: { openTo: "account", answer: getTagHistory } },
  },
  {
    name: "tag-restore",
    path: "/api/v1/repositories/:name+/tags/:tag/restore",
    of: "management",
    methods: { POST: { openTo: "account", answer: postTagRestore } },
  },
  {
    name: "manifest-restore",
    path: "/api/v1/repositories/:name+/manifests/:digest/restore",
    of: "management",
    methods: { POST: { openTo: "account", answer: postManifestRestore } },
  },
  {
    name: "repository",
    path: "/api/v1/repositories/:name+",
    of: "management",
    methods: {
      GET: { openTo: "account", answer: getRepository },
      PATCH: { openTo: "account", answer: patchRepository },
      DELETE: { openTo: "account", answer: removeRepository },
    },
  },
  {
    name: "gc",
    path: "/api/v1/gc",
    of: "management",
    methods: { POST: { openTo: "administrator", answer: postGc } },
  },
  {
    name: "open-uploads",
    path: "/api/v1/uploads",
    of: "management",
    methods: { GET: { openTo: "administrator", answer: listUploads } },
  },
  {
    name: "open-upload",
    path: "/api/v1/uploads/:upload",
    of: "management",
    methods: { DELETE: { openTo: "administrator", answer: removeUpload } },
  },
  {
    name: "scrub",
    path: "/api/v1/scrub",
    of: "management",
    methods: { POST: { openTo: "administrator", answer: postScrub } },
  },
  {
    name: "replica-rebuild",
    path: "/api/v1/replica/rebuild",
    of: "management",
    methods: { POST: { openTo: "administrator", answer: postRebuild } },
  },
  {
    name: "restorable",
    path: "/api/v1/restorable",
    of: "management",
    methods: { GET: { openTo: "administrator", answer: getRestorable } },
  },
  {
    name: "usage",
    path: "/api/v1/usage",
    of: "management",
    methods: { GET: { openTo: "administrator", answer: getUsage } },
  },
  {
    name: "explain",
    path: "/api/v1/explain",
    of: "management",
    methods: { POST: { openTo: "administrator", answer: explain } },
  },
  {
    name: "audit",
    path: "/api/v1/audit",
    of: "management",
    methods: { GET: { openTo: "administrator", answer: listAudit } },
  },
  {
    name: "rotate-keys",
    path: "/api/v1/keys/rotate",
    of: "management",
    methods: { POST: { openTo: "administrator", answer: rotateKeys } },
  },
  {
    name: "webhooks",
    path: "/api/v1/webhooks",
    of: "management",
    methods: {
      GET: { openTo: "administrator", answer: listWebhooks },
      POST: { openTo: "administrator", answer: createWebhook },
    },
  },
  {
    name: "webhook",
    path: "/api/v1/webhooks/:webhook",
    of: "management",
    methods: {
      GET: { openTo: "administrator", answer: getWebhook },
      PATCH: { openTo: "administrator", answer: changeWebhook },
      DELETE: { openTo: "administrator", answer: removeWebhook },
    },
  },
  {
    name: "webhook-ping",
    path: "/api/v1/webhooks/:webhook/ping",
    of: "management",
    methods: { POST: { openTo: "administrator", answer: pingWebhook } },
  },
  {
    name: "webhook-deliveries",
    path: "/api/v1/webhooks/:webhook/deliveries",
    of: "management",
    methods: { GET: { openTo: "administrator", answer: listDeliveries } },
  },
  {
    name: "dead-letters",
    path: "/api/v1/webhooks/:webhook/dead-letters",
    of: "management",
    methods: { GET: { openTo: "administrator", answer: listDeadLetters } },
  },
  {
    name: "dead-letter",
    path: "/api/v1/webhooks/:webhook/dead-letters/:event",
    of: "management",
    methods: { GET: { openTo: "administrator", answer: getDeadLetter } },
  },
  {
    name: "replay",
    path: "/api/v1/webhooks/:webhook/dead-letters/:event/replay",
    of: "management",
    methods: { POST: { openTo: "administrator", answer: replayDeadLetter } },
  },
];
