/** What the audit log says of each operation that is done, as its declaration has it. */
import assert from "node:assert/strict";
import test from "node:test";
import type { RequestOptions } from "../support/client.ts";
import { admin, startClosedRegistry } from "../support/closed-registry.ts";
import { operations } from "../support/contract.ts";
import { until } from "../support/registry.ts";

const registry = await startClosedRegistry({
  UPSTREAMS: JSON.stringify([{ id: "upstream", url: "https://registry.example.com" }]),
});

/** Calls the management API as an administrator, who must be answered well. */
async function call<Answer = unknown>(
  method: string,
  path: string,
  options: RequestOptions = {},
): Promise<Answer> {
  const answer = await registry.send(method, `/api/v1${path}`, { as: admin, ...options });
  assert(answer.status < 300, `${method} ${path}: ${answer.status} ${answer.text}`);
  return (answer.text === "" ? undefined : answer.json()) as Answer;
}

const image = await registry.as(admin).pushImage("noted/app", "v1");
const gone = await registry.as(admin).pushImage("noted/app", "gone");
await registry.must(202, "DELETE", `/v2/noted/app/manifests/${gone.digest}`, { as: admin });
await registry.as(admin).pushImage("noted/app", "v1");
await registry.as(admin).pushImage("noted/deleted", "v1");
await registry.as(admin).pushImage("noted/restored", "v1");
const webhook = { url: "https://example.com/hook", events: ["manifest.push"] };
const { id: hook } = await call<{ id: string }>("POST", "/webhooks", { json: webhook });
const token = await registry.generateToken("admin");

/** Each operation, done; in the order of the calls, what the log says of each: action and target. */
const done: Record<string, () => Promise<[action: string, target: string][]>> = {
  "PUT /accounts/{account}": async () => {
    for (const _ of [1, 2]) await call("PUT", "/accounts/noted", { json: { grants: [] } });
    return [
      ["account.create", "noted"],
      ["account.change", "noted"],
    ];
  },
  "PUT /account/password": async () => {
    const as = await registry.account("renewed", []);
    const password = "the next long password";
    registry.secrets.add(password);
    await call("PUT", "/account/password", { as, json: { current: as.password, password } });
    return [["account.password", "renewed"]];
  },
  "POST /search/rebuild": async () => {
    await call("POST", "/search/rebuild");
    return [["search.rebuild", "*"]];
  },
  "DELETE /accounts/{account}": async () => {
    await call("PUT", "/accounts/deleted", { json: { grants: [] } });
    await call("DELETE", "/accounts/deleted");
    return [["account.delete", "deleted"]];
  },
  "POST /accounts/{account}/tokens": async () => {
    const json = { description: "noted" };
    const made = await call<{ id: string; secret: string }>("POST", "/accounts/admin/tokens", { json });
    registry.secrets.add(made.secret);
    return [["token.create", `admin/${made.id}`]];
  },
  "DELETE /accounts/{account}/tokens/{token}": async () => {
    await call("DELETE", `/accounts/admin/tokens/${token.id}`);
    return [["token.delete", `admin/${token.id}`]];
  },
  "POST /repositories/{name}/manifests/{digest}/restore": async () => {
    await call("POST", `/repositories/noted/app/manifests/${gone.digest}/restore`);
    return [["manifest.restore", `noted/app@${gone.digest}`]];
  },
  "POST /repositories/{name}/tags/{tag}/restore": async () => {
    await call("POST", "/repositories/noted/app/tags/v1/restore", { json: { digest: image.digest } });
    return [["tag.restore", "noted/app:v1"]];
  },
  "PATCH /repositories/{name}": async () => {
    await call("PATCH", "/repositories/noted/app", { json: { description: "noted" } });
    return [["repository.change", "noted/app"]];
  },
  "POST /repositories/{name}/restore": async () => {
    await call("DELETE", "/repositories/noted/restored");
    await call("POST", "/repositories/noted/restored/restore");
    return [["repository.restore", "noted/restored"]];
  },
  "PUT /policies": async () => {
    await call("PUT", "/policies", { json: { rules: [] } });
    return [["policies.change", "*"]];
  },
  "PUT /repositories/{name}/tags/{tag}/hold": async () => {
    await call("PUT", "/repositories/noted/app/tags/v1/hold", { json: { reason: "noted" } });
    return [["tag.keep", "noted/app:v1"]];
  },
  "DELETE /repositories/{name}/tags/{tag}/hold": async () => {
    await call("PUT", "/repositories/noted/app/tags/v1/hold");
    await call("DELETE", "/repositories/noted/app/tags/v1/hold");
    return [["tag.unkeep", "noted/app:v1"]];
  },
  "POST /policies/override": async () => {
    const json = { repository: "noted/app", tag: "v1", digest: image.digest, reason: "noted" };
    await call("POST", "/policies/override", { json });
    return [["tag.override", "noted/app:v1"]];
  },
  "DELETE /repositories/{name}": async () => {
    await call("DELETE", "/repositories/noted/deleted");
    return [["repository.delete", "noted/deleted"]];
  },
  "POST /webhooks": async () => {
    const { id } = await call<{ id: string }>("POST", "/webhooks", { json: webhook });
    return [["webhook.create", id]];
  },
  "PATCH /webhooks/{webhook}": async () => {
    await call("PATCH", `/webhooks/${hook}`, { json: { disabled: true } });
    return [["webhook.change", hook]];
  },
  "DELETE /webhooks/{webhook}": async () => {
    await call("DELETE", `/webhooks/${hook}`);
    return [["webhook.delete", hook]];
  },
  "POST /keys/rotate": async () => {
    const { signing } = await call<{ signing: string }>("POST", "/keys/rotate");
    return [["keys.rotate", signing]];
  },
  "POST /gc": async () => {
    await call("POST", "/gc");
    await call("POST", "/gc", { json: { now: true } });
    return [
      ["gc", "*"],
      ["gc.now", "*"],
    ];
  },
  "POST /scrub": async () => {
    await call("POST", "/scrub");
    return [["scrub", "*"]];
  },
  "POST /upstreams/{upstream}/evict": async () => {
    await call("POST", "/upstreams/upstream/evict");
    return [["upstream.evict", "upstream"]];
  },
  "POST /replica/rebuild": async () => {
    await call("POST", "/replica/rebuild");
    return [["replica.rebuild", "*"]];
  },
  "POST /name-index/rebuild": async () => {
    await call("POST", "/name-index/rebuild");
    return [["name-index.rebuild", "*"]];
  },
};

/** What needs an upload under way, a run that waits or a day of failures is shown where there is one: test/objects/. */
const elsewhere = [
  "POST /repositories/{name}/policy/confirm",
  "DELETE /uploads/{upload}",
  "POST /webhooks/{webhook}/dead-letters/{event}/replay",
];

const audited = operations.flatMap(({ method, path, operation }) => {
  const isAudited = "audit" in operation && operation.audit !== "none";
  return isAudited ? [{ name: `${method} ${path}`, operation }] : [];
});

test("every operation that is audited is among these", () => {
  const names = audited.map(({ name }) => name);
  assert.deepEqual(names.toSorted(), [...Object.keys(done), ...elsewhere].toSorted());
});

for (const { name, operation } of audited) {
  const doIt = done[name];
  if (doIt === undefined || !("audit" in operation) || operation.audit === "none") continue;
  const { action } = operation.audit;
  test(`${name} is noted when it is done`, async () => {
    const expected = await doIt();
    assert.deepEqual(
      expected.map(([each]) => each),
      [action].flat(),
    );
    const isNoted = async ([wanted, target]: [string, string]) =>
      (await registry.audit()).some((entry) => {
        return (
          entry.action === wanted &&
          entry.target === target &&
          ["admin", "renewed"].includes(String(entry.actor)) &&
          entry.outcome === "done"
        );
      });
    for (const entry of expected) await until(entry.join(" "), () => isNoted(entry));
  });
}

test("an account that was made is noted, though no other call to the catalog succeeds", async () => {
  await registry.loseNext("CATALOG.account");
  await call("PUT", "/accounts/unlucky", { json: { grants: [] } });
  await registry.loseNext("");
  await until("account.create", async () =>
    (await registry.audit()).some((entry) => entry.action === "account.create" && entry.target === "unlucky"),
  );
});
