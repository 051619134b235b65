import assert from "node:assert/strict";
import test from "node:test";
import { expectError } from "../support/answer.ts";
import { unknownDigest } from "../support/content.ts";
import { startRegistry } from "../support/registry.ts";

const registry = await startRegistry();

test("the base endpoint says that this is a registry", async () => {
  for (const path of ["/v2/", "/v2"]) {
    const answer = await registry.must(200, "GET", path);
    assert.deepEqual(answer.json(), {});
    assert.equal(answer.headers.get("Content-Type"), "application/json");
  }
});

const digest = unknownDigest();

const wrongMethods: [method: string, path: string, allow: string][] = [
  ["POST", "/v2/", "GET, HEAD"],
  ["OPTIONS", "/v2/", "GET, HEAD"],
  ["DELETE", "/v2/_catalog", "GET, HEAD"],
  ["GET", "/v2/a/blobs/uploads/", "POST"],
  ["HEAD", "/v2/a/blobs/uploads/", "POST"],
  ["POST", "/v2/a/blobs/uploads/session", "GET, HEAD, PATCH, PUT, DELETE"],
  ["PUT", `/v2/a/blobs/${digest}`, "GET, HEAD, DELETE"],
  ["PATCH", "/v2/a/manifests/latest", "GET, HEAD, PUT, DELETE"],
  ["DELETE", "/v2/a/tags/list", "GET, HEAD"],
  ["PUT", `/v2/a/referrers/${digest}`, "GET, HEAD"],
];

test("a method that an endpoint does not have is 405 with the methods that it has", async () => {
  for (const [method, path, allow] of wrongMethods) {
    const answer = await registry.must(405, method, path);
    assert.equal(answer.headers.get("Allow"), allow, `${method} ${path}`);
    if (method !== "HEAD") expectError(answer, 405, "UNSUPPORTED");
  }
});

const unknownRoutes = [
  "/v1/",
  "/v2/a",
  "/v2/a/blobs",
  "/v2/a/manifests",
  "/v2/a/tags",
  "/v2/tags/list",
  "/v2/blobs/uploads/",
  "/v2/a/tags/list/more",
  "/v2/_catalog/more",
  "/v2%",
];

test("an unknown route is an OCI error", async () => {
  for (const path of unknownRoutes) {
    expectError(await registry.get(path), 404, "UNSUPPORTED");
    assert.equal((await registry.send("HEAD", path)).status, 404);
  }
});

test("names may contain the words of routes", async () => {
  for (const name of ["blobs", "tags/list", "manifests/latest", "blobs/uploads", "a/referrers/b"]) {
    const location = await registry.openUpload(name);
    assert(location.startsWith(`/v2/${name}/blobs/uploads/`), location);
    expectError(await registry.get(`/v2/${name}/manifests/tags`), 404, "MANIFEST_UNKNOWN");
  }
});

test("a repository that is named like a route is managed as any other", async () => {
  for (const name of ["named/manifests", "named/tags/v1/history"]) {
    await registry.pushImage(name, "v1");
    const body = JSON.stringify({ visibility: "public" });
    const changed = await registry.must(200, "PATCH", `/api/v1/repositories/${name}`, { body });
    assert.equal(changed.json<{ name: string }>().name, name);
    await registry.must(202, "DELETE", `/api/v1/repositories/${name}`);
  }
  await registry.pushImage("named", "v1");
  const listed = await registry.must(200, "GET", "/api/v1/repositories/named/manifests");
  assert.equal(listed.json<{ manifests: unknown[] }>().manifests.length, 1);
});
