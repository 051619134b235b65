/** A registry with repositories of several owners, which hold and keep from each other what tests then try to get. */
import { imageManifestType } from "../../../src/oci/media-type.ts";
import { admin, startClosedRegistry } from "../../support/closed-registry.ts";
import { content } from "../../support/content.ts";

/** Starts it; see the names of what comes back. */
export async function startPrivateRegistry() {
  const registry = await startClosedRegistry();
  const alice = await registry.account("alice", [{ repository: "team/**", verbs: ["pull", "push"] }]);
  const bob = await registry.account("bob", [{ repository: "other/*", verbs: ["pull", "push", "delete"] }]);
  const pusher = await registry.account("pusher", [{ repository: "team/secret", verbs: ["push"] }]);
  const cleaner = await registry.account("cleaner", [{ repository: "team/secret", verbs: ["delete"] }]);
  const puller = await registry.account("puller", [{ repository: "team/secret", verbs: ["pull"] }]);

  const secretLayer = content();
  const image = await registry.as(alice).pushImage("team/secret", "v1");
  await registry.as(alice).pushBlob("team/secret", secretLayer);
  const referrer = await registry.as(alice).pushImage("team/secret", "signature", undefined, {
    artifactType: "application/example",
    subject: { mediaType: imageManifestType, digest: image.digest, size: image.manifest.byteLength },
  });
  const open = await registry.as(admin).pushImage("open/app", "v1");
  await registry.setVisibility("open/app", "public");
  const theirs = await registry.as(bob).pushImage("other/app", "v1");
  const layer = image.layers[0] ?? "";

  // What a caller with rights has just read lies in the isolate's memory.
  for (const path of [
    `manifests/${image.digest}`,
    "manifests/v1",
    `blobs/${layer}`,
    `blobs/${image.config}`,
  ]) {
    await registry.must(200, "GET", `/v2/team/secret/${path}`, { as: alice });
  }
  return { registry, alice, bob, pusher, cleaner, puller, secretLayer, image, referrer, open, theirs, layer };
}
