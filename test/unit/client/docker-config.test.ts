import assert from "node:assert/strict";
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import test from "node:test";
import { DockerConfigError, dockerCredential } from "../../../src/client/docker-config.ts";
import { afterTest } from "../../support/ends.ts";
import { after } from "../../support/ends-of-files.ts";

const directory = mkdtempSync(join(tmpdir(), "docker-config-"));
after(() => rmSync(directory, { recursive: true, force: true }));
const bin = join(directory, "bin");
mkdirSync(bin);

/** A helper as docker's are: asked `get`, with the server on stdin. */
function writeHelper(name: string, script: string): void {
  const file = join(bin, `docker-credential-${name}`);
  writeFileSync(file, `#!/bin/sh\n[ "$1" = get ] || exit 9\nread -r server\n${script}\n`);
  chmodSync(file, 0o755);
}
writeHelper("good", `printf '{"ServerURL":"%s","Username":"ann","Secret":"for %s"}' "$server" "$server"`);
writeHelper("token", `echo '{"Username":"<token>","Secret":"refresh"}'`);
writeHelper("empty", "echo 'credentials not found in native keychain'; exit 1");
writeHelper("broken", "echo 'the keychain is locked'; exit 1");

async function find(host: string, config: object | string) {
  const text = typeof config === "string" ? config : JSON.stringify(config);
  writeFileSync(join(directory, "config.json"), text);
  const PATH = `${bin}${delimiter}${process.env.PATH}`;
  return await dockerCredential(host, { DOCKER_CONFIG: directory, PATH });
}

const auth = Buffer.from("bob:a:b").toString("base64");
const bob = { kind: "password", username: "bob", password: "a:b" };

const found: [what: string, host: string, config: object, expected: unknown][] = [
  ["an entry by its host", "registry.example.org", { auths: { "registry.example.org": { auth } } }, bob],
  ["a port is part of the host", "127.0.0.1:5000", { auths: { "127.0.0.1": { auth } } }, undefined],
  [
    "an entry that is an address",
    "registry.example.org",
    { auths: { "https://registry.example.org/v2/": { auth } } },
    bob,
  ],
  ["Docker Hub", "registry-1.docker.io", { auths: { "https://index.docker.io/v1/": { auth } } }, bob],
  [
    "nothing for this host",
    "registry.example.org",
    { auths: { "registry.example.com": { auth } } },
    undefined,
  ],
  [
    "an entry that a store keeps",
    "registry.example.org",
    { auths: { "registry.example.org": {} } },
    undefined,
  ],
  [
    "an identity token",
    "a.example.org",
    { auths: { "a.example.org": { auth, identitytoken: "x" } } },
    { kind: "refresh-token", token: "x" },
  ],
  [
    "a registry token",
    "a.example.org",
    { auths: { "a.example.org": { registrytoken: "x" } } },
    { kind: "bearer", token: "x" },
  ],
  [
    "a helper of this host",
    "a.example.org",
    { credHelpers: { "a.example.org": "good" } },
    { kind: "password", username: "ann", password: "for a.example.org" },
  ],
  [
    "a helper for all",
    "a.example.org",
    { credsStore: "good" },
    { kind: "password", username: "ann", password: "for a.example.org" },
  ],
  [
    "a helper with a refresh token",
    "a.example.org",
    { credsStore: "token" },
    { kind: "refresh-token", token: "refresh" },
  ],
  ["a helper that knows nothing", "a.example.org", { credsStore: "empty" }, undefined],
  [
    "a helper that knows nothing, and an entry",
    "a.example.org",
    { credsStore: "empty", auths: { "a.example.org": { auth } } },
    bob,
  ],
  ["no entries at all", "a.example.org", {}, undefined],
  [
    "an entry that makes no sense",
    "a.example.org",
    { auths: { "a.example.org": { auth: "%%%" } } },
    undefined,
  ],
];

for (const [what, host, config, expected] of found) {
  test(`${what}: ${expected === undefined ? "no credential" : "the credential"}`, async () => {
    assert.deepEqual(await find(host, config), expected);
  });
}

test("a helper that does not answer is given up, and what it has started holds up nothing", async (t) => {
  const pipes = () => process.getActiveResourcesInfo().filter((each) => each === "PipeWrap").length;
  const before = pipes();
  const pid = join(directory, "pid");
  writeHelper("silent", `sleep 1000 & echo $! > '${pid}.new'; mv '${pid}.new' '${pid}'; wait`);
  afterTest(t, () => process.kill(Number(readFileSync(pid, "utf8"))));
  t.mock.timers.enable({ apis: ["setTimeout"] });
  const asking = assert.rejects(find("a.example.org", { credsStore: "silent" }), (error) => {
    assert(error instanceof DockerConfigError, String(error));
    return /^docker-credential-silent did not answer within 120 s$/.test(error.message);
  });
  while (!existsSync(pid)) await new Promise(setImmediate);
  t.mock.timers.tick(120_000);
  await asking;
  await new Promise(setImmediate);
  assert.equal(pipes(), before);
});

test("a helper that fails, that is not there, or that is no name, is said", async () => {
  const failures: [string, RegExp][] = [
    ["broken", /docker-credential-broken failed: the keychain is locked/],
    ["absent", /cannot run docker-credential-absent/],
    ["../../bin/sh", /is no credential helper/],
  ];
  for (const [credsStore, message] of failures) {
    await assert.rejects(find("a.example.org", { credsStore }), (error) => {
      return error instanceof DockerConfigError && message.test(error.message);
    });
  }
  await assert.rejects(find("a.example.org", "["), DockerConfigError);
  assert.equal(
    await dockerCredential("a.example.org", { DOCKER_CONFIG: join(directory, "none") }),
    undefined,
  );
});
