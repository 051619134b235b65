/** Retention in a registry: a document reaches idle repositories, runs wait and are confirmed, and all of it is undone. */
import assert from "node:assert/strict";
import test from "node:test";
import { imageIndexType } from "../../src/oci/media-type.ts";
import { call } from "../cli/command-line.ts";
import { describe, imageIndex } from "../support/content.ts";
import { hourMs, startTimedRegistry } from "../support/timed-registry.ts";

const dayMs = 24 * hourMs;
const timed = await startTimedRegistry({ vars: { GC_GRACE: "2d" } });
const { registry, advance, runAlarm } = timed;
const environment = { STOWAGE_URL: registry.url };

async function stowage(args: string[], stdin = ""): Promise<{ stdout: string; stderr: string }> {
  const { code, ...said } = await call(args, environment, stdin);
  assert.equal(code, 0, `${args.join(" ")}: ${said.stderr}`);
  return said;
}

const pushMany = async (repository: string, count: number) => {
  for (let at = 0; at < count; at++) await registry.pushImage(repository, `t${at}`);
};

const tagsOf = async (repository: string) =>
  (await registry.must(200, "GET", `/v2/${repository}/tags/list`)).json<{ tags: string[] }>().tags;

/** Puts a document in, and lets it reach the ledgers from which it removes tags. */
async function setPolicy(yaml: string): Promise<void> {
  await stowage(["policy", "set", "-"], yaml);
  await runAlarm("CATALOG", "catalog");
}

/** Lets a day pass, and runs what is due in a repository. */
async function nextDay(repository: string): Promise<void> {
  await advance(dayMs);
  await runAlarm("LEDGERS", repository);
}

test("a wrong document is tried, put in, confirmed, and its effect undone as a whole", async () => {
  await pushMany("wrong/app", 25);
  const index = imageIndex([
    describe(
      (await registry.pushImage("wrong/app", "child")).manifest,
      "application/vnd.oci.image.manifest.v1+json",
    ),
  ]);
  await registry.pushManifest("wrong/app", "index", index, imageIndexType);
  const before = await tagsOf("wrong/app");
  const pulled = await registry.must(200, "GET", "/v2/wrong/app/manifests/t7");

  const document = `
- repositories: ["wrong/**"]
  keep:
    - { tags: ["t1"] }
  # Everything else goes.
  remove: { tags: ["*"], untaggedAfter: 0d }
`;
  const tried = await stowage(["policy", "try", "-"], document);
  assert.match(tried.stdout, /^wrong\/app\s+t1\s+stays\s+kept by keep\[0\]$/m);
  assert.match(tried.stderr, /^wrong\/app: 26 go and 1 stay, which frees \d+ bytes; .*\(new rules\)$/m);
  assert.deepEqual(await tagsOf("wrong/app"), before);

  await setPolicy(document);
  await nextDay("wrong/app");
  assert.deepEqual(await tagsOf("wrong/app"), before, "the run waits");
  const waiting = JSON.parse((await stowage(["policy", "waiting", "--json"])).stdout);
  assert.deepEqual(
    waiting.map(({ repository, removes, of, why }: Record<string, unknown>) => [
      repository,
      removes,
      of,
      why,
    ]),
    [["wrong/app", 26, 27, "new rules"]],
  );
  await advance(hourMs);
  const metrics = (await registry.must(200, "GET", "/metrics")).text;
  assert.match(metrics, /^stowage_retention_waiting_seconds 36\d\d/m);

  const confirmed = await stowage(["policy", "confirm", "wrong/app"]);
  assert.match(confirmed.stderr, /it removes 26 of 27 tags/);
  await runAlarm("LEDGERS", "wrong/app");
  assert.deepEqual(await tagsOf("wrong/app"), ["t1"]);
  await registry.must(404, "GET", "/v2/wrong/app/manifests/t7");
  assert.deepEqual(JSON.parse((await stowage(["policy", "waiting", "--json"])).stdout), []);
  const history = await stowage(["history", "wrong/app", "t7"]);
  assert.match(history.stdout, /policy .*rules\[0\]\.remove of version \d+$/m);

  // Untagged manifests go once their grace is over.
  await nextDay("wrong/app");
  await nextDay("wrong/app");
  await registry.must(404, "GET", `/v2/wrong/app/manifests/${pulled.header("Docker-Content-Digest")}`);

  await stowage(["policy", "set", "-"], "rules: []");
  const restored = await stowage(["restore", "--since", "1h", "--by", "policy"]);
  assert.match(restored.stderr, /^wrong\/app: \d+ tags and \d+ manifests are back$/m);
  assert.deepEqual(await tagsOf("wrong/app"), before);
  const again = await registry.must(200, "GET", "/v2/wrong/app/manifests/t7");
  assert.equal(again.text, pulled.text);
  await registry.must(200, "GET", "/v2/wrong/app/manifests/index");
});

test("a document reaches repositories that nobody pushes to, and new ones", async () => {
  await pushMany("idle/old", 3);
  await setPolicy(
    '- { repositories: ["idle/*"], keep: [{ tags: ["*"], newest: 1 }], remove: { tags: ["*"] } }',
  );
  await pushMany("idle/new", 3);
  for (const name of ["idle/old", "idle/new"]) {
    await nextDay(name);
    assert.equal((await tagsOf(name)).length, 1, name);
  }
  // Nor do they go on by an old one.
  await stowage(["policy", "set", "-"], "[]");
  await pushMany("idle/old", 3);
  await nextDay("idle/old");
  assert.equal((await tagsOf("idle/old")).length, 3);
});

test("a repository that is restored is tidied again, and its tags are held as before", async () => {
  await setPolicy('- { repositories: ["back/*"], remove: { tags: ["*"] } }');
  await pushMany("back/app", 2);
  await stowage(["tag", "keep", "back/app", "t0"]);
  await stowage(["repo", "delete", "back/app", "--yes"]);
  await stowage(["restore", "back/app"]);
  assert.deepEqual(await tagsOf("back/app"), ["t0", "t1"]);
  await nextDay("back/app");
  assert.deepEqual(await tagsOf("back/app"), ["t0"]);
});

test("a tag is held and released, and explained", async () => {
  await setPolicy('- { repositories: ["kept/*"], remove: { tags: ["*"] } }');
  await pushMany("kept/app", 2);
  await stowage(["tag", "keep", "kept/app", "t0", "--reason", "deployed"]);
  assert.match(
    (await stowage(["policy", "explain", "kept/app", "t0"])).stderr,
    /^kept\/app:t0 stays: held$/m,
  );
  assert.match(
    (await stowage(["policy", "explain", "kept/app", "t1"])).stderr,
    /^kept\/app:t1 goes: nothing/m,
  );
  const explained = await stowage(["policy", "explain", "kept/app"]);
  assert.match(explained.stdout, /^remove:\n {2}tags:\n {4}- "\*"\n {2}rule: 0$/m);
  assert.match(explained.stderr, /^held: t0$/m);
  await nextDay("kept/app");
  assert.deepEqual(await tagsOf("kept/app"), ["t0"]);
  await stowage(["tag", "unkeep", "kept/app", "t0"]);
  await nextDay("kept/app");
  assert.deepEqual(await tagsOf("kept/app"), []);
});

test("a document of the command line is refused where it is wrong, and is not put over another's", async () => {
  const refused = async (stdin: string, said: RegExp, ...flags: string[]) => {
    const outcome = await call(["policy", "set", "-", ...flags], environment, stdin);
    assert.equal(outcome.code, 1, outcome.stderr);
    assert.match(outcome.stderr, said);
  };
  await refused("rules:\n  - repositories: [*]\n", /- is no YAML: /);
  await refused("just text", /- has no rules/);
  await refused(
    '[{ repositories: ["**"], remove: { tags: ["*"], after: 1d } }]',
    /unknown field rules\[0\]\.remove\.after/,
  );
  await refused("[]", /the policies have changed meanwhile/, "--if-version", "0");
  const { stdout } = await stowage(["policy", "get"]);
  const { version } = JSON.parse((await stowage(["policy", "get", "--json"])).stdout);
  await stowage(["policy", "set", "-", "--if-version", String(version)], stdout);
});

test("a run that waited for a repository does not wait for the next one of its name", async () => {
  const repository = "waited/app";
  await pushMany(repository, 12);
  await setPolicy(`
- repositories: ["waited/**"]
  remove: { tags: ["*"] }
`);
  await nextDay(repository);
  const waiting = async () => {
    const { runs } = (await registry.must(200, "GET", "/api/v1/policies/waiting")).json<{
      runs: { repository: string }[];
    }>();
    return runs.map((run) => run.repository);
  };
  assert.deepEqual(await waiting(), [repository]);
  await registry.must(202, "DELETE", `/api/v1/repositories/${repository}`);
  await registry.pushImage(repository, "new");
  await runAlarm("LEDGERS", repository);
  assert.deepEqual(await waiting(), []);
});
