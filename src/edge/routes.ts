/**
 * Every route of the registry, as a table: its pattern, and for each method what it needs and who answers.
 *
 * GET also answers HEAD. Patterns match more than they should: names are validated after matching. Where two
 * patterns match, the first one counts.
 */
import type { Verb } from "./auth/access.ts";
import type { Answer, Context, RepositoryContext } from "./context.ts";
import { base } from "./endpoints/base.ts";
import { pullBlob, removeBlob } from "./endpoints/blobs.ts";
import { catalog } from "./endpoints/catalog.ts";
import { pullManifest, putManifest, removeManifest } from "./endpoints/manifests.ts";
import { referrers } from "./endpoints/referrers.ts";
import { tags } from "./endpoints/tags.ts";
import { cancel, getUpload, openUpload, patchUpload, putUpload } from "./endpoints/uploads.ts";

type Method = "GET" | "POST" | "PUT" | "PATCH" | "DELETE";

/** A route about the registry as a whole. */
export type RegistryRoute = {
  name: string;
  path: string;
  of: "registry";
  methods: Partial<Record<Method, (context: Context) => Promise<Answer>>>;
};

/** A route about one repository; each method needs a verb on it. */
export type RepositoryRoute = {
  name: string;
  path: string;
  of: "repository";
  methods: Partial<Record<Method, { needs: Verb; answer: (context: RepositoryContext) => Promise<Answer> }>>;
};

export type Route = RegistryRoute | RepositoryRoute;

export const routes: Route[] = [
  { name: "base", path: "/v2/", of: "registry", methods: { GET: base } },
  { name: "catalog", path: "/v2/_catalog", of: "registry", methods: { GET: catalog } },
  {
    name: "uploads",
    path: "/v2/:name+/blobs/uploads/",
    of: "repository",
    methods: { POST: { needs: "push", answer: openUpload } },
  },
  {
    name: "upload",
    path: "/v2/:name+/blobs/uploads/:session",
    of: "repository",
    methods: {
      GET: { needs: "push", answer: getUpload },
      PATCH: { needs: "push", answer: patchUpload },
      PUT: { needs: "push", answer: putUpload },
      DELETE: { needs: "push", answer: cancel },
    },
  },
  {
    name: "blob",
    path: "/v2/:name+/blobs/:digest",
    of: "repository",
    methods: {
      GET: { needs: "pull", answer: pullBlob },
      DELETE: { needs: "delete", answer: removeBlob },
    },
  },
  {
    name: "manifest",
    path: "/v2/:name+/manifests/:reference",
    of: "repository",
    methods: {
      GET: { needs: "pull", answer: pullManifest },
      PUT: { needs: "push", answer: putManifest },
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
];
