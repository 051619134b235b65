import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { projectDirectory } from "../../src/local/workerd/bundle.ts";
import { runtimes, temporaryDirectory } from "../local/program.ts";
import { fetchOnce } from "../support/client.ts";
import { after } from "../support/ends-of-files.ts";
import { startInstance } from "../support/miniflare/instance.ts";
import { assertRefused, call } from "./command-line.ts";

const adminPassword = "correct-horse-battery";
const vars = { ADMIN_PASSWORD: adminPassword, LOG_FORMAT: "none", GC_GRACE: "0s" };
const registry = await startInstance({ vars });
after(() => registry.dispose());
const environment = { STOWAGE_URL: registry.url, STOWAGE_PASSWORD: adminPassword };

async function done(args: string[], stdin = ""): Promise<string> {
  const { code, stdout, stderr } = await call(args, environment, stdin);
  assert.equal(code, 0, `${args.join(" ")}: ${stderr}`);
  return stdout;
}

async function json<T>(...args: string[]): Promise<T> {
  return JSON.parse(await done([...args, "--json"]));
}

async function pushManifest(repository: string, authorization: string): Promise<number> {
  const [name, type] = ["manifests/1", "application/vnd.oci.image.index.v1+json"];
  const response = await fetchOnce(`${registry.url}/v2/${repository}/${name}`, {
    method: "PUT",
    headers: { Authorization: `Basic ${btoa(authorization)}`, "Content-Type": type },
    body: JSON.stringify({ schemaVersion: 2, mediaType: type, manifests: [] }),
  });
  return response.status;
}

test("an account is made, changed in nothing but what is given, and deleted", async () => {
  const password = (
    await done(["account", "create", "anna", "--grant", "a/**:pull", "--generate-password"])
  ).trimEnd();
  assert.match(password, /^[\w-]{32}$/);
  assertRefused(
    await call(["account", "create", "anna"], environment),
    1,
    /there is an account anna already/,
  );
  const own = { STOWAGE_URL: registry.url, STOWAGE_USER: "anna" };
  assert.equal((await call(["account", "show", "anna", "--password-stdin"], own, `${password}\n`)).code, 0);

  type Account = { grants: object[]; disabled: boolean; hasPassword: boolean };
  const show = () => json<Account>("account", "show", "anna");
  const first = await show();
  await done(["account", "set", "anna", "--add-grant", "b:pull,push", "--add-grant", "c:pull"]);
  await done(["account", "set", "anna", "--disable"]);
  await done(["account", "set", "anna", "--remove-grant", "c"]);
  const added = { repository: "b", verbs: ["pull", "push"] };
  assert.deepEqual(await show(), { ...first, grants: [...first.grants, added], disabled: true });
  const refused = await call(["account", "show", "anna"], { ...own, STOWAGE_PASSWORD: password });
  assertRefused(refused, 1, /anna is not let in: /);
  await done(["account", "set", "anna", "--enable", "--password-stdin-for-account"], "another password\n");
  assert.equal((await show()).disabled, false);
  const again = { ...own, STOWAGE_PASSWORD: "another password" };
  assert.equal((await call(["account", "show", "anna"], again)).code, 0);
  for (const args of [["account", "list"], ["account", "show", "ann"], ["usage"], ["audit"]]) {
    assertRefused(await call(args, again), 1, /: access is denied: this is for administrators$/m);
  }
  await done(["account", "set", "anna", "--grant", "d:pull"]);
  assert.deepEqual((await show()).grants, [{ repository: "d", verbs: ["pull"] }]);
  const unknownGrant = await call(["account", "set", "anna", "--remove-grant", "a/**"], environment);
  assertRefused(unknownGrant, 1, /the account has no grant of a\/\*\*$/m);

  assert.match(await done(["account", "list"]), /^anna\s+enabled\s+yes\s+d:pull$/m);
  await done(["account", "delete", "anna"]);
  assertRefused(
    await call(["account", "delete", "anna"], environment),
    1,
    /there is no such account: account: anna$/m,
  );
  assert.deepEqual(await json("account", "list"), []);
  for (const args of [["show"], ["set", "--disable"], ["delete"]]) {
    const refused = await call(["account", ...args, "admin"], environment);
    assertRefused(refused, 1, /: admin has no account record: its password is ADMIN_PASSWORD$/m);
  }
});

test("a token's secret is all that stdout gets; it pushes until it is deleted", async () => {
  await done(["account", "create", "ci", "--grant", "ci/**:pull,push"]);
  const made = await call(
    ["token", "create", "ci", "--description", "build", "--grant", "ci/app:push", "--expires", "90d"],
    environment,
  );
  assert.match(made.stdout, /^stw_[\w-]{49}\n$/);
  const secret = made.stdout.trimEnd();
  assert(!made.stderr.includes(secret));
  assert.equal(await pushManifest("ci/app", `ci:${secret}`), 201);
  assert.equal(await pushManifest("ci/other", `ci:${secret}`), 403);
  type Token = { id: string; expiresAt: string; lastUsed: string };
  const [token] = await json<Token[]>("token", "list", "ci");
  assert(token !== undefined);
  const days = (Date.parse(token.expiresAt) - Date.now()) / 86_400_000;
  assert(days > 89.9 && days <= 90.01, token.expiresAt);
  assert.match(await done(["token", "list", "ci"]), new RegExp(`^${token.id}  build .* ci/app:push$`, "m"));
  await done(["token", "delete", "ci", token.id]);
  assert.equal(await pushManifest("ci/app", `ci:${secret}`), 401);
  const { secret: other } = await json<{ secret: string }>("token", "create", "ci", "--description", "x");
  assert.equal(await pushManifest("ci/other", `ci:${other}`), 201);
});

test("a token that is given more than its account has is said to be bound by that", async () => {
  await done(["account", "create", "narrow", "--grant", "narrow/**:pull,push"]);
  const create = ["token", "create", "narrow", "--description", "x", "--grant"];
  const made = await call([...create, "**:admin", "--grant", "narrow/app:pull"], environment);
  assert.equal(made.code, 0);
  const note = "the token may do no more than narrow, which may: narrow/**:pull,push";
  assert(made.stderr.endsWith(`\n**:admin is more than the account has; ${note}\n`), made.stderr);
  const within = await call([...create, "narrow/app-*:push"], environment);
  assert.doesNotMatch(within.stderr, /more than/);
  const own = { STOWAGE_URL: registry.url, STOWAGE_USER: "narrow", STOWAGE_PASSWORD: made.stdout.trimEnd() };
  assertRefused(await call(["token", "list", "narrow"], own), 1, /: access is denied$/m);
});

test("repositories are described, published and deleted; explain says who may what", async () => {
  assert.equal(await pushManifest("shop/app", `admin:${adminPassword}`), 201);
  const explain = (...args: string[]) => call(["explain", ...args], environment);
  assert.equal((await explain("nobody", "shop/app", "pull")).code, 1);
  await done(["repo", "public", "shop/app"]);
  await done(["repo", "describe", "shop/app", "The shop"]);
  assert.match(await done(["repo", "list", "--query", "the sh"]), /^shop\/app\s+public\s+0\s+The shop$/m);
  const nothing = await call(["repo", "list", "--query", "a thing"], environment);
  assert.deepEqual(nothing, { code: 0, stdout: "", stderr: 'no repositories match "a thing"\n' });
  await json("repo", "readme", "shop/app", import.meta.filename);
  assert.equal(
    (await done(["repo", "readme", "shop/app"])).trim(),
    readFileSync(import.meta.filename, "utf8").trim(),
  );
  const shown = await done(["repo", "show", "shop/app"]);
  for (const line of [/^visibility: +public$/m, /^description: +The shop$/m, /^last used: +never$/m]) {
    assert.match(shown, line);
  }
  assert.match((await explain("nobody", "shop/app", "pull")).stdout, /^allowed: +yes$/m);
  const refused = await explain("nobody", "shop/app", "push");
  assert.deepEqual([refused.code, /there is no such account/.test(refused.stdout)], [1, true]);
  const { visibility } = await json<{ visibility: string }>("repo", "private", "shop/app");
  assert.equal(visibility, "private");
  const [change] = await json<{ detail: unknown }[]>("audit", "--kind", "administration", "--limit", "1");
  assert.deepEqual(change?.detail, { visibility: "private" });
  await done(["repo", "delete", "shop/app", "--yes"]);
  assertRefused(
    await call(["repo", "public", "shop/none"], environment),
    1,
    /no such repository: repository: shop\/none$/m,
  );
});

test("a webhook is made, changed, tried and deleted; its secret is all that stdout gets", async () => {
  const made = await call(
    ["webhook", "create", "https://127.0.0.1.example/", "--event", "tag.move", "--event", "tag.create"],
    environment,
  );
  assert.match(made.stdout, /^[\w-]{43}\n$/);
  assert(!made.stderr.includes(made.stdout.trimEnd()));
  type Webhook = { id: string; events: string[]; disabled: boolean; headerNames: string[] };
  const [webhook] = await json<Webhook[]>("webhook", "list");
  assert.deepEqual(webhook?.events, ["tag.move", "tag.create"]);
  const id = webhook?.id ?? "";
  await done(["webhook", "set", id, "--disable", "--header", "X-Team: shop"]);
  const { disabled, headerNames } = await json<Webhook>("webhook", "show", id);
  assert.deepEqual([disabled, headerNames], [true, ["X-Team"]]);
  assert.match(await done(["webhook", "list"]), new RegExp(`^${id}  disabled  \\*\\*  +distribution `, "m"));
  assertRefused(await call(["webhook", "ping", id], environment), 1, /: the webhook is disabled$/m);
  assert.deepEqual(await json("webhook", "deliveries", id), []);
  assert.deepEqual(await json("webhook", "dead-letters", id), []);
  for (const [command, things] of [
    ["deliveries", "deliveries"],
    ["dead-letters", "dead letters"],
  ] as const) {
    const { stderr } = await call(["webhook", command, id], environment);
    assert.equal(stderr, `there are no ${things}\n`);
  }
  assertRefused(
    await call(["webhook", "replay", id, "x"], environment),
    1,
    /has no such dead letter: .*event: x$/m,
  );
  await done(["webhook", "delete", id]);
  assertRefused(
    await call(["webhook", "show", id], environment),
    1,
    /there is no such webhook: webhook: \S+$/m,
  );
});

test("keys are rotated, and the audit log has it", async () => {
  const { signing } = await json<{ signing: string }>("keys", "rotate");
  const [newest] = await json<{ action: string; target: string }[]>("audit", "--limit", "1");
  assert.deepEqual([newest?.action, newest?.target], ["keys.rotate", signing]);
});

test("the audit log is shown by kind", async () => {
  await json("keys", "rotate");
  const ofKind = (kind: string) => json<{ outcome: string }[]>("audit", "--kind", kind);
  const outcomes = async (kind: string) => new Set((await ofKind(kind)).map(({ outcome }) => outcome));
  assert.deepEqual(await outcomes("administration"), new Set(["done"]));
  assert(!(await outcomes("refusal")).has("done"));
  const wrong = await call(["audit", "--kind", "denied"], environment);
  assertRefused(wrong, 1, /kind must be one of administration, use, refusal$/m);
});

test("without credentials an open registry answers, and a closed one says what it wants", async () => {
  const closed = await call(["account", "list"], { STOWAGE_URL: registry.url });
  assertRefused(closed, 1, /the registry asks for credentials: set STOWAGE_PASSWORD, /);
  await using open = await startInstance({ vars: { LOG_FORMAT: "none" } });
  assert.deepEqual(await call(["account", "list", "--json"], { STOWAGE_URL: open.url }), {
    code: 0,
    stdout: "[]\n",
    stderr: "",
  });
});

for (const [name, runtime] of Object.entries(runtimes)) {
  test(`${name} runs it`, () => {
    const [file = "", ...args] = runtime;
    const main = join(projectDirectory, "src", "cli", "main.ts");
    const options = { env: { ...process.env, ...environment }, encoding: "utf8" } as const;
    const listed = spawnSync(file, [...args, main, "--", "account", "list", "--json"], options);
    assert.equal(listed.status, 0, listed.stderr);
    assert(Array.isArray(JSON.parse(listed.stdout)));
    const wrong = spawnSync(file, [...args, main, "account", "list", "--password-stdin"], {
      ...options,
      input: "wrong\n",
    });
    assert.deepEqual([wrong.status, wrong.stdout], [1, ""]);
    assert.equal(wrong.stderr, "stowage: admin is not let in: unknown account or wrong password\n");
  });
}

test("a backup is written and read by the task of Deno, with the permissions that it has", async (t) => {
  assert.equal(await pushManifest("backup/app", `admin:${adminPassword}`), 201);
  const directory = temporaryDirectory(t);
  const [deno = ""] = runtimes.deno;
  const options = {
    cwd: projectDirectory,
    env: { ...process.env, ...environment },
    encoding: "utf8",
  } as const;
  for (const command of ["export", "import"]) {
    const words = [command, directory, "--repository", "backup/app", "--json"];
    const { status, stdout, stderr } = spawnSync(deno, ["task", "-q", "stowage", ...words], options);
    assert.equal(status, 0, stderr);
    assert.equal(JSON.parse(stdout).manifests, 1, command);
  }
});
