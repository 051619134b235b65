/**
 * Every route of the registry, as a table. The routes of the management API are made from its contract.
 *
 * GET also answers HEAD. Patterns match more than they should: names are validated after matching. Where two
 * patterns match, the first one counts.
 */
import { catalogScope } from "../oci/scope.ts";
import { base, healthz, readyz, root } from "./endpoints/about.ts";
import { pullBlob, removeBlob } from "./endpoints/blobs.ts";
import { catalog } from "./endpoints/catalog.ts";
import { asset, page } from "./endpoints/interface.ts";
import { pullManifest, putManifest, removeManifest } from "./endpoints/manifests.ts";
import { metrics } from "./endpoints/metrics.ts";
import { referrers } from "./endpoints/referrers.ts";
import { tags } from "./endpoints/tags.ts";
import { getToken, jwks, postToken } from "./endpoints/token.ts";
import { cancel, getUpload, openUpload, patchUpload, putUpload } from "./endpoints/uploads.ts";
import { operationRoutes } from "./operations/routes.ts";
import type { Route } from "./route.ts";

/** The paths of the interface besides `/`; src/ui/paths.ts makes them. */
const screens = {
  repository: "/r/:name+",
  search: "/search",
  usage: "/usage",
  deleted: "/deleted",
  waiting: "/waiting",
  account: "/account",
  "sign-in": "/sign-in",
};

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
    methods: { GET: { access: "scraper", answer: metrics } },
  },
  {
    name: "token",
    path: "/token",
    of: "public",
    // Issuing a token to push is audited.
    hasSideEffect: true,
    methods: { GET: getToken, POST: postToken },
  },
  { name: "jwks", path: "/.well-known/jwks.json", of: "public", methods: { GET: jwks } },
  {
    name: "uploads",
    path: "/v2/:name+/blobs/uploads/",
    of: "repository",
    methods: { POST: { needs: "push", needsDiskSpace: true, answer: openUpload } },
  },
  {
    name: "upload",
    path: "/v2/:name+/blobs/uploads/:session",
    of: "repository",
    methods: {
      GET: { needs: "push", answer: getUpload },
      PATCH: { needs: "push", needsDiskSpace: true, answer: patchUpload },
      PUT: { needs: "push", needsDiskSpace: true, answer: putUpload },
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
      PUT: { needs: "push", needsDiskSpace: true, answer: putManifest },
      DELETE: { needs: "delete", answer: removeManifest },
    },
  },
  {
    name: "tags",
    path: "/v2/:name+/tags/list",
    of: "repository",
    methods: { GET: { needs: "pull", isList: true, answer: tags } },
  },
  {
    name: "referrers",
    path: "/v2/:name+/referrers/:digest",
    of: "repository",
    methods: { GET: { needs: "pull", isList: true, answer: referrers } },
  },
  ...operationRoutes,
  { name: "asset", path: "/assets/:file", of: "public", methods: { GET: asset } },
  ...Object.entries(screens).map(
    ([name, path]): Route => ({ name: `page-${name}`, path, of: "public", methods: { GET: page } }),
  ),
];
