/** What requests for repositories that do not exist leave behind in a data directory: nothing. */
import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import test, { type TestContext } from "node:test";
import { Client } from "../support/client.ts";
import { unknownDigest } from "../support/content.ts";
import { ready, runtimes, startProgram, temporaryDirectory } from "./program.ts";

const main = join("src", "local", "main.ts");
const admin = { name: "admin", password: "of a registry that is asked for a lot" };
const member = { name: "member", password: "of an account that may push to one folder" };

async function startServer(t: TestContext): Promise<{ url: string; data: string }> {
  const data = temporaryDirectory(t);
  // Each request comes from an address of its own, so that no limit answers it.
  const flags = ["--port", "0", "--data", data, "--log", "none", "--var", "ADDRESS_HEADER=X-Real-IP"];
  const env = { ADMIN_PASSWORD: admin.password };
  const server = startProgram(t, [...runtimes.node, main, ...flags], { data, env });
  return { url: await ready(server), data };
}

/** The databases of objects. Logs of SQLite come and go, and each class has one for its alarms. */
function databasesIn(data: string): string[] {
  const files = readdirSync(join(data, "do"), { recursive: true, encoding: "utf8" });
  const isDatabase = (file: string) => file.endsWith(".sqlite") && !file.endsWith("metadata.sqlite");
  return files.filter(isDatabase).toSorted();
}

type Question = [what: string, method: string, path: (name: string) => string, json?: object];

const questions: Question[] = [
  ["a pull by tag", "GET", (name) => `/v2/${name}/manifests/v1`],
  ["a look for a manifest", "HEAD", (name) => `/v2/${name}/manifests/${unknownDigest()}`],
  ["a pull of a blob", "GET", (name) => `/v2/${name}/blobs/${unknownDigest()}`],
  ["a look for a blob", "HEAD", (name) => `/v2/${name}/blobs/${unknownDigest()}`],
  ["a list of tags", "GET", (name) => `/v2/${name}/tags/list`],
  ["a list of referrers", "GET", (name) => `/v2/${name}/referrers/${unknownDigest()}`],
  ["a token", "GET", (name) => `/token?scope=repository:${name}:pull,push`],
  ["an upload", "POST", (name) => `/v2/${name}/blobs/uploads/`],
  ["a mount", "POST", (name) => `/v2/made/up/blobs/uploads/?mount=${unknownDigest()}&from=${name}`],
  ["a deletion of a tag", "DELETE", (name) => `/v2/${name}/manifests/v1`],
  ["its history", "GET", (name) => `/api/v1/repositories/${name}/tags/v1/history`],
  ["its visibility", "PATCH", (name) => `/api/v1/repositories/${name}`, { visibility: "public" }],
  ["its deletion", "DELETE", (name) => `/api/v1/repositories/${name}`],
];

test("1,500 requests for made-up names, with and without a login, make no database", async (t) => {
  const { url, data } = await startServer(t);
  const grants = [{ repository: "made/**", verbs: ["pull", "push"] }];
  await new Client(url, admin).must(201, "PUT", "/api/v1/accounts/member", {
    json: { password: member.password, grants },
  });
  const clients = [new Client(url), new Client(url, member), new Client(url, admin)];
  let asked = 0;
  const ask = async (client: Client, [what, method, path, json]: Question, name: string) => {
    const address = `10.0.${asked >> 8}.${asked++ & 255}`;
    const headers = { "X-Real-IP": address };
    const { status } = await client.send(method, path(name), { headers, ...(json && { json }) });
    assert([200, 202, 401, 403, 404].includes(status), `${what}: ${status}`);
  };
  const askAll = async (name: () => string) => {
    for (const question of questions) {
      for (const client of clients) await ask(client, question, name());
    }
  };
  await askAll(() => "made/first");
  const before = databasesIn(data);
  assert(before.length > 0);
  while (asked < 1500) await askAll(() => `made/${crypto.randomUUID()}`);
  assert.deepEqual(databasesIn(data), before);
});

test("an empty registry is measured, collected, scrubbed and watched without a database for it", async (t) => {
  const { url, data } = await startServer(t);
  const client = new Client(url, admin);
  const shards = () => databasesIn(data).filter((file) => file.startsWith("stowage-Blobs"));
  await client.must(200, "GET", "/api/v1/usage");
  for (const path of ["gc", "scrub"]) await client.must(200, "POST", `/api/v1/${path}`);
  await client.must(200, "GET", "/metrics");
  assert.deepEqual(shards(), []);
  await client.pushImage("made/app", "v1");
  assert(shards().length > 0);
  const used = await client.must(200, "GET", "/api/v1/usage");
  assert(used.json<{ total: { stored: { objects: number } } }>().total.stored.objects > 0, used.text);
});
