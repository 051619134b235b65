/** `/api/v1/repositories/{name}/manifests`, `/api/v1/repositories/{name}/blobs` */
import type { manifests } from "../../../contract/manifests.ts";
import { describeManifest, listManifests } from "../../../registry/facts.ts";
import { readManifestContent } from "../../../registry/manifests.ts";
import { restoreManifest } from "../../../registry/restore.ts";
import { eventOrigin } from "../../context.ts";
import type { HandlersOf } from "../../operations/handler.ts";
import { contentHeaders, isRefusal } from "../../respond.ts";
import { pullBlob } from "../blobs.ts";
import { configView, factsView } from "./facts.ts";

export const manifestHandlers: HandlersOf<typeof manifests> = {
  "/repositories/{name}/manifests": {
    GET: async (call) => {
      const listed = await listManifests(call, call.page);
      if (!listed.ok) return listed;
      const { entries, more } = listed.page;
      const views = entries.map((entry) => ({ ...factsView(call.access, entry), tags: entry.tags }));
      return { status: 200, body: { manifests: views }, next: more ? entries.at(-1)?.digest : undefined };
    },
  },
  "/repositories/{name}/manifests/{digest}": {
    GET: async (call) => {
      const found = await describeManifest(call, call.params.digest);
      if (!found.ok) return found;
      const { manifest, config } = found;
      const { tags, indexes } = manifest;
      const shown = config === undefined ? {} : { config: configView(config) };
      const manifests = manifest.manifests.map((each) => factsView(call.access, each));
      return {
        status: 200,
        body: { ...factsView(call.access, manifest), tags, manifests, indexes, ...shown },
      };
    },
  },
  "/repositories/{name}/manifests/{digest}/content": {
    GET: async ({ registry, repository, params: { digest } }) => {
      const read = await readManifestContent(registry, repository, digest);
      if (!read.ok) return read;
      const headers = contentHeaders(digest, read.mediaType, "immutable");
      return { status: 200, body: { headers, body: read.bytes } };
    },
  },
  "/repositories/{name}/manifests/{digest}/restore": {
    POST: async (call) => {
      const { registry, repository, params } = call;
      const restored = await restoreManifest(registry, repository, params.digest, eventOrigin(call));
      if (!restored.ok) return restored;
      return { status: 200, body: { digest: params.digest, tags: restored.tags } };
    },
  },
  "/repositories/{name}/blobs/{digest}/content": {
    GET: async (call) => {
      const answer = await pullBlob(call);
      if (isRefusal(answer)) return answer;
      const { status, ...body } = answer;
      return { status: status as 200 | 206 | 304, body };
    },
  },
};
