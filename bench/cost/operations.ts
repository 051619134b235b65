/**
 * What each request asks of bindings: the exact number of calls, which test/costs/ holds against the running Worker.
 *
 * `cold`: in an isolate that has seen nothing yet. `warm`: in one that has served the same before. The first bearer
 * token that an isolate sees costs one call more, `CATALOG.signingKeys`, and every 30 seconds at most it reports what
 * it counted, with one call of `CATALOG.addCounts`; neither is in this table.
 */

/** How often each method is called, by `BINDING.method`. */
export type Calls = Readonly<Record<string, number>>;

/**
 * A request: the method and the name of its route, what it needs cold and warm, and how many rows the objects write for
 * it at most, cold or warm.
 */
export type OperationCost = {
  readonly route: string;
  readonly method: string;
  readonly cold: Calls;
  readonly warm: Calls;
  readonly rowsWritten: number;
};

/** Every request of the distribution API, and `/token`. The image of five layers has a config, which is small. */
export const operations = {
  "ask whether this is a registry": { route: "base", method: "GET", cold: {}, warm: {}, rowsWritten: 0 },
  "be challenged": { route: "base", method: "GET", cold: {}, warm: {}, rowsWritten: 0 },
  "get a token with the administrator's password": {
    route: "token",
    method: "GET",
    cold: { "NAME_INDEX.has": 1, "CATALOG.sessionSecret": 1, "CATALOG.signingKeys": 1 },
    warm: {},
    rowsWritten: 0,
  },
  "get a token with an account's password": {
    route: "token",
    method: "GET",
    cold: { "NAME_INDEX.has": 1, "CATALOG.account": 1, "CATALOG.signingKeys": 1 },
    warm: { "CATALOG.account": 1 },
    rowsWritten: 0,
  },
  "get a token with a generated token": {
    route: "token",
    method: "GET",
    cold: { "NAME_INDEX.has": 1, "CATALOG.tokenBySecret": 1, "CATALOG.account": 1, "CATALOG.signingKeys": 1 },
    warm: { "CATALOG.tokenBySecret": 1, "CATALOG.account": 1 },
    rowsWritten: 1,
  },
  "get a token to push": {
    route: "token",
    method: "GET",
    cold: { "NAME_INDEX.has": 1, "CATALOG.account": 1, "CATALOG.audit": 1, "CATALOG.signingKeys": 1 },
    warm: { "CATALOG.account": 1, "CATALOG.audit": 1 },
    rowsWritten: 3,
  },
  "get a token for a public repository as nobody": {
    route: "token",
    method: "GET",
    cold: { "NAME_INDEX.mayBePublic": 1, "LEDGERS.info": 1, "CATALOG.signingKeys": 1 },
    warm: {},
    rowsWritten: 0,
  },
  "get a token with a refresh token": {
    route: "token",
    method: "POST",
    cold: { "NAME_INDEX.has": 1, "CATALOG.signingKeys": 1, "CATALOG.sessionSecret": 1 },
    warm: {},
    rowsWritten: 0,
  },
  "read the keys that verify tokens": {
    route: "jwks",
    method: "GET",
    cold: { "CATALOG.signingKeys": 1 },
    warm: {},
    rowsWritten: 0,
  },
  "resolve a tag": {
    route: "manifest",
    method: "HEAD",
    cold: { "LEDGERS.resolveTags": 1 },
    warm: { "LEDGERS.resolveTags": 1 },
    rowsWritten: 0,
  },
  "pull a manifest by tag": {
    route: "manifest",
    method: "GET",
    cold: { "LEDGERS.resolveTags": 1, "MANIFESTS.get": 1 },
    warm: { "LEDGERS.resolveTags": 1 },
    rowsWritten: 0,
  },
  "ask whether a tag has moved": {
    route: "manifest",
    method: "GET",
    cold: { "LEDGERS.resolveTags": 1 },
    warm: { "LEDGERS.resolveTags": 1 },
    rowsWritten: 0,
  },
  "pull a manifest by digest": {
    route: "manifest",
    method: "GET",
    cold: { "MANIFESTS.get": 1 },
    warm: {},
    rowsWritten: 0,
  },
  "look whether a manifest is there": {
    route: "manifest",
    method: "HEAD",
    cold: { "MANIFESTS.get": 1 },
    warm: {},
    rowsWritten: 0,
  },
  "look whether a manifest is there, to push": {
    route: "manifest",
    method: "HEAD",
    cold: { "LEDGERS.statManifest": 1 },
    warm: { "LEDGERS.statManifest": 1 },
    rowsWritten: 0,
  },
  "pull a manifest of a public repository as nobody": {
    route: "manifest",
    method: "GET",
    cold: { "NAME_INDEX.mayBePublic": 1, "LEDGERS.info": 1, "LEDGERS.resolveTags": 1, "MANIFESTS.get": 1 },
    warm: { "LEDGERS.resolveTags": 1 },
    rowsWritten: 0,
  },
  "pull a config": {
    route: "blob",
    method: "GET",
    cold: { "MANIFESTS.get": 1, "BLOBS.get": 1 },
    warm: {},
    rowsWritten: 0,
  },
  "pull a layer": {
    route: "blob",
    method: "GET",
    cold: { "MANIFESTS.get": 1, "BLOBS.get": 1 },
    warm: { "BLOBS.get": 1 },
    rowsWritten: 0,
  },
  "pull a part of a layer": {
    route: "blob",
    method: "GET",
    cold: { "MANIFESTS.get": 1, "BLOBS.get": 1 },
    warm: { "BLOBS.get": 1 },
    rowsWritten: 0,
  },
  "pull a blob that no manifest names": {
    route: "blob",
    method: "GET",
    cold: { "MANIFESTS.get": 1, "LEDGERS.locateBlob": 1, "BLOBS.get": 1 },
    warm: { "BLOBS.get": 1 },
    rowsWritten: 0,
  },
  "look whether a blob is there": {
    route: "blob",
    method: "HEAD",
    cold: { "MANIFESTS.get": 1 },
    warm: {},
    rowsWritten: 0,
  },
  "look whether a blob is there, to push": {
    route: "blob",
    method: "HEAD",
    cold: { "LEDGERS.locateBlob": 1 },
    warm: { "LEDGERS.locateBlob": 1 },
    rowsWritten: 0,
  },
  "look for a blob of a repository that does not exist": {
    route: "blob",
    method: "HEAD",
    cold: { "NAME_INDEX.has": 1 },
    warm: { "NAME_INDEX.has": 1 },
    rowsWritten: 0,
  },
  "look for a blob that is not there, to push": {
    route: "blob",
    method: "HEAD",
    cold: { "LEDGERS.locateBlob": 1 },
    warm: { "LEDGERS.locateBlob": 1 },
    rowsWritten: 0,
  },
  "list tags": {
    route: "tags",
    method: "GET",
    cold: { "LEDGERS.listTags": 1 },
    warm: { "LEDGERS.listTags": 1 },
    rowsWritten: 0,
  },
  "list referrers": {
    route: "referrers",
    method: "GET",
    cold: { "LEDGERS.listReferrers": 1 },
    warm: { "LEDGERS.listReferrers": 1 },
    rowsWritten: 0,
  },
  "list repositories": {
    route: "catalog",
    method: "GET",
    cold: { "CATALOG.sessionSecret": 1, "CATALOG.listRepositories": 1 },
    warm: { "CATALOG.listRepositories": 1 },
    rowsWritten: 0,
  },
  "open an upload": {
    route: "uploads",
    method: "POST",
    cold: { "CATALOG.sessionSecret": 1 },
    warm: {},
    rowsWritten: 0,
  },
  "send the first chunk, of less than a part": {
    route: "upload",
    method: "PATCH",
    cold: { "CATALOG.sessionSecret": 1, "UPLOADS.fetch": 1, "LEDGERS.sessionState": 1 },
    warm: { "UPLOADS.fetch": 1, "LEDGERS.sessionState": 1 },
    rowsWritten: 12,
  },
  "send 6 MiB as one chunk": {
    route: "upload",
    method: "PATCH",
    cold: {
      "CATALOG.sessionSecret": 1,
      "UPLOADS.fetch": 1,
      "LEDGERS.sessionState": 1,
      "BLOBS.createMultipartUpload": 1,
      "BLOBS.uploadPart": 1,
    },
    warm: {
      "UPLOADS.fetch": 1,
      "LEDGERS.sessionState": 1,
      "BLOBS.createMultipartUpload": 1,
      "BLOBS.uploadPart": 1,
    },
    rowsWritten: 16,
  },
  "ask how far an upload is": {
    route: "upload",
    method: "GET",
    cold: { "CATALOG.sessionSecret": 1, "UPLOADS.status": 1 },
    warm: { "UPLOADS.status": 1 },
    rowsWritten: 0,
  },
  "cancel an upload": {
    route: "upload",
    method: "DELETE",
    cold: {
      "CATALOG.sessionSecret": 1,
      "UPLOADS.cancel": 1,
      "BLOBS.delete": 1,
      "LEDGERS.cancelSession": 1,
    },
    warm: { "UPLOADS.cancel": 1, "BLOBS.delete": 1, "LEDGERS.cancelSession": 1 },
    rowsWritten: 21,
  },
  "close an upload of less than a part": {
    route: "upload",
    method: "PUT",
    cold: {
      "CATALOG.sessionSecret": 1,
      "UPLOADS.fetch": 1,
      "BLOBS.put": 1,
      "BLOB_SHARDS.adopt": 1,
      "BLOBS.head": 1,
      "LEDGERS.linkBlob": 1,
    },
    warm: {
      "UPLOADS.fetch": 1,
      "BLOBS.put": 1,
      "BLOB_SHARDS.adopt": 1,
      "BLOBS.head": 1,
      "LEDGERS.linkBlob": 1,
    },
    rowsWritten: 13,
  },
  "close an upload of 6 MiB": {
    route: "upload",
    method: "PUT",
    cold: {
      "CATALOG.sessionSecret": 1,
      "UPLOADS.fetch": 1,
      "BLOBS.uploadPart": 1,
      "BLOBS.complete": 1,
      "BLOB_SHARDS.adopt": 1,
      "BLOBS.head": 1,
      "LEDGERS.linkBlob": 1,
    },
    warm: {
      "UPLOADS.fetch": 1,
      "BLOBS.uploadPart": 1,
      "BLOBS.complete": 1,
      "BLOB_SHARDS.adopt": 1,
      "BLOBS.head": 1,
      "LEDGERS.linkBlob": 1,
    },
    rowsWritten: 17,
  },
  "push a blob with POST and PUT": {
    route: "upload",
    method: "PUT",
    cold: {
      "CATALOG.sessionSecret": 1,
      "BLOB_SHARDS.doom": 1,
      "BLOBS.put": 1,
      "BLOB_SHARDS.adopt": 1,
      "BLOBS.head": 1,
      "LEDGERS.linkBlob": 1,
    },
    warm: {
      "BLOB_SHARDS.doom": 1,
      "BLOBS.put": 1,
      "BLOB_SHARDS.adopt": 1,
      "BLOBS.head": 1,
      "LEDGERS.linkBlob": 1,
    },
    rowsWritten: 11,
  },
  "push a blob with one POST": {
    route: "uploads",
    method: "POST",
    cold: {
      "BLOB_SHARDS.doom": 1,
      "BLOBS.put": 1,
      "BLOB_SHARDS.adopt": 1,
      "BLOBS.head": 1,
      "LEDGERS.linkBlob": 1,
    },
    warm: {
      "BLOB_SHARDS.doom": 1,
      "BLOBS.put": 1,
      "BLOB_SHARDS.adopt": 1,
      "BLOBS.head": 1,
      "LEDGERS.linkBlob": 1,
    },
    rowsWritten: 11,
  },
  "mount a blob": {
    route: "uploads",
    method: "POST",
    cold: {
      "LEDGERS.locateBlob": 1,
      "BLOB_SHARDS.lease": 1,
      "BLOBS.head": 1,
      "LEDGERS.linkBlob": 1,
    },
    warm: { "LEDGERS.locateBlob": 1, "BLOB_SHARDS.lease": 1, "BLOBS.head": 1, "LEDGERS.linkBlob": 1 },
    rowsWritten: 4,
  },
  "mount a blob from wherever it is": {
    route: "uploads",
    method: "POST",
    cold: {
      "BLOB_SHARDS.mountSource": 1,
      "LEDGERS.locateBlob": 1,
      "BLOB_SHARDS.lease": 1,
      "BLOBS.head": 1,
      "LEDGERS.linkBlob": 1,
    },
    warm: {
      "BLOB_SHARDS.mountSource": 1,
      "LEDGERS.locateBlob": 1,
      "BLOB_SHARDS.lease": 1,
      "BLOBS.head": 1,
      "LEDGERS.linkBlob": 1,
    },
    rowsWritten: 4,
  },
  "ask for a mount of a blob that nobody has": {
    route: "uploads",
    method: "POST",
    cold: { "BLOB_SHARDS.mountSource": 1, "LEDGERS.locateBlob": 1, "CATALOG.sessionSecret": 1 },
    warm: { "BLOB_SHARDS.mountSource": 1, "LEDGERS.locateBlob": 1 },
    rowsWritten: 0,
  },
  "push the first blob of a repository": {
    route: "uploads",
    method: "POST",
    cold: {
      "BLOB_SHARDS.doom": 1,
      "BLOBS.put": 1,
      "BLOB_SHARDS.adopt": 1,
      "BLOBS.head": 1,
      "LEDGERS.linkBlob": 2,
      "NAME_INDEX.register": 1,
      "WEBHOOKS.accept": 1,
    },
    warm: {
      "BLOB_SHARDS.doom": 1,
      "BLOBS.put": 1,
      "BLOB_SHARDS.adopt": 1,
      "BLOBS.head": 1,
      "LEDGERS.linkBlob": 2,
      "NAME_INDEX.register": 1,
      "WEBHOOKS.accept": 1,
    },
    rowsWritten: 158,
  },
  "push the manifest of five new layers with a tag": {
    route: "manifest",
    method: "PUT",
    cold: { "LEDGERS.putManifest": 1, "MANIFESTS.put": 8 },
    warm: { "LEDGERS.putManifest": 1, "MANIFESTS.put": 8 },
    rowsWritten: 28,
  },
  "push a manifest again": {
    route: "manifest",
    method: "PUT",
    cold: { "LEDGERS.putManifest": 1 },
    warm: { "LEDGERS.putManifest": 1 },
    rowsWritten: 0,
  },
  "push an index by digest": {
    route: "manifest",
    method: "PUT",
    cold: { "LEDGERS.putManifest": 1, "MANIFESTS.put": 1 },
    warm: { "LEDGERS.putManifest": 1, "MANIFESTS.put": 1 },
    rowsWritten: 7,
  },
  "delete a tag": {
    route: "manifest",
    method: "DELETE",
    cold: { "LEDGERS.deleteTag": 1, "MANIFESTS.delete": 1 },
    warm: { "LEDGERS.deleteTag": 1, "MANIFESTS.delete": 1 },
    rowsWritten: 14,
  },
  "delete a manifest": {
    route: "manifest",
    method: "DELETE",
    cold: { "LEDGERS.deleteManifest": 1, "MANIFESTS.delete": 2 },
    warm: { "LEDGERS.deleteManifest": 1, "MANIFESTS.delete": 2 },
    rowsWritten: 23,
  },
  "delete a blob": {
    route: "blob",
    method: "DELETE",
    cold: { "LEDGERS.deleteBlob": 1, "MANIFESTS.delete": 1 },
    warm: { "LEDGERS.deleteBlob": 1, "MANIFESTS.delete": 1 },
    rowsWritten: 9,
  },
} satisfies Record<string, OperationCost>;

/** The name of a request in {@link operations}. */
export type OperationName = keyof typeof operations;
