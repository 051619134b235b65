/** The requests that are counted. Each is prepared, and then sent by what its preparation returns. */
import type { OperationName } from "../../bench/cost/operations.ts";
import { imageIndexType, imageManifestType } from "../../src/oci/media-type.ts";
import { Client } from "../support/client.ts";
import {
  configType,
  content,
  describe,
  digestOf,
  imageIndex,
  imageManifest,
  layerType,
  mebibyte,
} from "../support/content.ts";
import { publicRepository, repository, type World } from "./world.ts";

type Request = () => Promise<unknown>;

const v2 = `/v2/${repository}`;
const form = { "Content-Type": "application/x-www-form-urlencoded" };

/** An image of five layers, the blobs of which have been pushed. */
async function newImage({ pusher }: World): Promise<Uint8Array> {
  const [config, ...layers] = Array.from({ length: 6 }, () => content());
  const blobs = [config, ...layers].map((bytes) => bytes ?? content());
  for (const bytes of blobs) await pusher.pushBlob(repository, bytes);
  const [first = content(), ...others] = blobs;
  return imageManifest(
    describe(first, configType),
    others.map((bytes) => describe(bytes, layerType)),
  );
}

/** A session that has taken as many bytes. */
async function uploaded({ pusher }: World, bytes: Uint8Array): Promise<string> {
  return pusher.patch(await pusher.openUpload(repository), bytes);
}

/** A client with a token for a repository to which nobody has pushed. */
async function clientFor(admin: Client, name: string): Promise<Client> {
  const issued = await admin.must(200, "GET", `/token?scope=repository:${name}:pull,push`);
  return new Client(admin.url, issued.json<{ token: string }>().token);
}

const put = (type: string) => ({ "Content-Type": type });

/** How each request of the table is made. */
export const requests: Record<OperationName, (world: World) => Promise<Request>> = {
  "ask whether this is a registry":
    async ({ puller }) =>
    () =>
      puller.must(200, "GET", "/v2/"),
  "be challenged":
    async ({ nobody }) =>
    () =>
      nobody.must(401, "GET", "/v2/"),
  "get a token with the administrator's password":
    async ({ admin }) =>
    () =>
      admin.must(200, "GET", `/token?scope=repository:${repository}:pull`),
  "get a token with an account's password":
    async ({ member }) =>
    () =>
      member.must(200, "GET", `/token?scope=repository:${repository}:pull`),
  "get a token with a generated token":
    async ({ robot }) =>
    () =>
      robot.must(200, "GET", `/token?scope=repository:${repository}:pull`),
  "get a token to push":
    async ({ member }) =>
    () =>
      member.must(200, "GET", `/token?scope=repository:${repository}:pull,push`),
  "get a token for a public repository as nobody":
    async ({ nobody }) =>
    () =>
      nobody.must(200, "GET", `/token?scope=repository:${publicRepository}:pull`),
  "get a token with a refresh token": async ({ nobody, refreshToken }) => {
    const body = new URLSearchParams({
      grant_type: "refresh_token",
      refresh_token: refreshToken,
      scope: `repository:${repository}:pull`,
    });
    return () => nobody.must(200, "POST", "/token", { headers: form, body: body.toString() });
  },
  "read the keys that verify tokens":
    async ({ nobody }) =>
    () =>
      nobody.must(200, "GET", "/.well-known/jwks.json"),

  "resolve a tag":
    async ({ puller }) =>
    () =>
      puller.must(200, "HEAD", `${v2}/manifests/latest`),
  "pull a manifest by tag":
    async ({ puller }) =>
    () =>
      puller.must(200, "GET", `${v2}/manifests/latest`),
  "ask whether a tag has moved":
    async ({ puller, image }) =>
    () =>
      puller.must(304, "GET", `${v2}/manifests/latest`, {
        headers: { "If-None-Match": `"${image.digest}"` },
      }),
  "pull a manifest by digest":
    async ({ puller, image }) =>
    () =>
      puller.must(200, "GET", `${v2}/manifests/${image.digest}`),
  "look whether a manifest is there":
    async ({ puller, image }) =>
    () =>
      puller.must(200, "HEAD", `${v2}/manifests/${image.digest}`),
  "look whether a manifest is there, to push":
    async ({ pusher, image }) =>
    () =>
      pusher.must(200, "HEAD", `${v2}/manifests/${image.digest}`),
  "pull a manifest of a public repository as nobody":
    async ({ nobody }) =>
    () =>
      nobody.must(200, "GET", `/v2/${publicRepository}/manifests/latest`),
  "pull a config":
    async ({ puller, image }) =>
    () =>
      puller.must(200, "GET", `${v2}/blobs/${image.config}`),
  "pull a layer":
    async ({ puller, image }) =>
    () =>
      puller.must(200, "GET", `${v2}/blobs/${image.layers[0]}`),
  "pull a part of a layer":
    async ({ puller, image }) =>
    () =>
      puller.must(206, "GET", `${v2}/blobs/${image.layers[0]}`, { headers: { Range: "bytes=10-19" } }),
  "pull a blob that no manifest names":
    async ({ puller, large }) =>
    () =>
      puller.must(200, "GET", `${v2}/blobs/${large}`),
  "look whether a blob is there":
    async ({ puller, image }) =>
    () =>
      puller.must(200, "HEAD", `${v2}/blobs/${image.layers[0]}`),
  "look whether a blob is there, to push":
    async ({ pusher, image }) =>
    () =>
      pusher.must(200, "HEAD", `${v2}/blobs/${image.layers[0]}`),
  "look for a blob of a repository that does not exist": async ({ admin }) => {
    const name = `made-up/${crypto.randomUUID()}`;
    const client = await clientFor(admin, name);
    return () => client.must(404, "HEAD", `/v2/${name}/blobs/${digestOf(content())}`);
  },
  "look for a blob that is not there, to push":
    async ({ pusher }) =>
    () =>
      pusher.must(404, "HEAD", `${v2}/blobs/${digestOf(content())}`),
  "list tags":
    async ({ puller }) =>
    () =>
      puller.must(200, "GET", `${v2}/tags/list`),
  "list referrers":
    async ({ puller, image }) =>
    () =>
      puller.must(200, "GET", `${v2}/referrers/${image.digest}`),
  "list repositories":
    async ({ puller }) =>
    () =>
      puller.must(200, "GET", "/v2/_catalog"),

  "open an upload":
    async ({ pusher }) =>
    () =>
      pusher.openUpload(repository),
  "send the first chunk, of less than a part": async (world) => {
    const location = await world.pusher.openUpload(repository);
    return () => world.pusher.patch(location, content());
  },
  "send 6 MiB as one chunk": async (world) => {
    const location = await world.pusher.openUpload(repository);
    const bytes = content(6 * mebibyte);
    return () => world.pusher.patch(location, bytes);
  },
  "ask how far an upload is": async (world) => {
    const location = await uploaded(world, content());
    return () => world.pusher.must(204, "GET", location);
  },
  "cancel an upload": async (world) => {
    const location = await uploaded(world, content());
    return () => world.pusher.must(204, "DELETE", location);
  },
  "close an upload of less than a part": async (world) => {
    const bytes = content();
    const location = await uploaded(world, bytes);
    return () => world.pusher.must(201, "PUT", `${location}?digest=${digestOf(bytes)}`);
  },
  "close an upload of 6 MiB": async (world) => {
    const bytes = content(6 * mebibyte);
    const location = await uploaded(world, bytes);
    return () => world.pusher.must(201, "PUT", `${location}?digest=${digestOf(bytes)}`);
  },
  "push a blob with POST and PUT": async ({ pusher }) => {
    const bytes = content();
    const location = await pusher.openUpload(repository);
    return () => pusher.must(201, "PUT", `${location}?digest=${digestOf(bytes)}`, { body: bytes });
  },
  "push a blob with one POST":
    async ({ pusher }) =>
    () =>
      pusher.pushBlob(repository, content()),
  "mount a blob": async ({ pusher, image }) => {
    const from = await pusher.pushBlob(publicRepository, content());
    const query = `mount=${from}&from=${publicRepository}`;
    return () => pusher.must(201, "POST", `${v2}/blobs/uploads/?${query}&of=${image.digest}`);
  },
  "mount a blob from wherever it is": async ({ pusher }) => {
    const digest = await pusher.pushBlob(publicRepository, content());
    return () => pusher.must(201, "POST", `${v2}/blobs/uploads/?mount=${digest}`);
  },
  "ask for a mount of a blob that nobody has": async ({ pusher }) => {
    const digest = digestOf(content());
    return () => pusher.must(202, "POST", `${v2}/blobs/uploads/?mount=${digest}`);
  },
  "push the first blob of a repository": async ({ admin }) => {
    const name = `new/${crypto.randomUUID()}`;
    const client = await clientFor(admin, name);
    return () => client.pushBlob(name, content());
  },
  "push the manifest of five new layers with a tag": async (world) => {
    const manifest = await newImage(world);
    return () => world.pusher.pushManifest(repository, `t${digestOf(manifest).slice(-8)}`, manifest);
  },
  "push a manifest again":
    async ({ pusher, image }) =>
    () =>
      pusher.must(201, "PUT", `${v2}/manifests/latest`, {
        headers: put(imageManifestType),
        body: image.manifest,
      }),
  "push an index by digest": async ({ pusher, image }) => {
    const index = imageIndex([describe(image.manifest, imageManifestType)], {
      annotations: { id: crypto.randomUUID() },
    });
    return () => pusher.pushManifest(repository, digestOf(index), index, imageIndexType);
  },
  "delete a tag": async (world) => {
    const index = imageIndex([], { annotations: { id: crypto.randomUUID() } });
    await world.pusher.pushManifest(repository, "gone", index, imageIndexType);
    return () => world.pusher.must(202, "DELETE", `${v2}/manifests/gone`);
  },
  "delete a manifest": async (world) => {
    const index = imageIndex([], { annotations: { id: crypto.randomUUID() } });
    const digest = await world.pusher.pushManifest(repository, "gone", index, imageIndexType);
    return () => world.pusher.must(202, "DELETE", `${v2}/manifests/${digest}`);
  },
  "delete a blob": async ({ pusher }) => {
    const digest = await pusher.pushBlob(repository, content());
    return () => pusher.must(202, "DELETE", `${v2}/blobs/${digest}`);
  },
};
