/** The Compose file: valid by the specification, and its two services work together as it starts them. */
import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test, { type TestContext } from "node:test";
import { projectDirectory } from "../../scripts/release/places.ts";
import { parseFlags } from "../../src/local/flags.ts";
import { version } from "../../src/version.ts";
import { writeImage } from "../clients/support/oci-layout.ts";
import { hasPrograms, run } from "../clients/support/programs.ts";
import { freePort } from "../clients/support/server.ts";
import { ready, runtimes, startProgram, temporaryDirectory, until } from "../local/program.ts";

const folder = join(projectDirectory, "deploy", "compose");
const commandLine = [...runtimes.node, join("src", "cli", "main.ts")];

type Service = { image: string; command: string[]; environment?: Record<string, string> } & Record<
  string,
  unknown
>;

/** The services of the files as the specification's own program reads them, with a name for the registry. */
async function services(host: string, ...more: string[]): Promise<{ registry: Service; proxy: Service }> {
  const files = ["compose.yaml", ...more].map((name) => join(folder, name));
  const { stdout } = await run("compose-spec", ["-no-interpolation", "-format", "json", ...files]);
  const named = stdout.replace(/\$\{REGISTRY_HOST[^}]*\}/g, host).replace(/\$\{\w+:-([^}]*)\}/g, "$1");
  return JSON.parse(named).services;
}

/** Starts Caddy as the file does, but with a certificate of its own and ports that anybody may take. */
async function startCaddy(t: TestContext, command: readonly string[]): Promise<string> {
  const data = mkdtempSync(join(tmpdir(), "stowage-caddy-"));
  t.after(() => rmSync(data, { recursive: true, force: true }));
  const env = { XDG_DATA_HOME: data, XDG_CONFIG_HOME: data, HOME: data };
  const caddy = startProgram(t, [...command, "--internal-certs"], { env });
  const root = join(data, "caddy", "pki", "authorities", "local", "root.crt");
  await until("Caddy's certificate", () => {
    if (caddy.hasEnded) throw new Error(caddy.stderr);
    return /certificate obtained successfully/.test(caddy.stderr);
  });
  assert.match(readFileSync(root, "utf8"), /BEGIN CERTIFICATE/);
  return root;
}

for (const more of [[], ["compose.cache.yaml"]]) {
  const name = ["compose.yaml", ...more].join(" with ");
  test(`the registry of ${name} is confined, and starts with flags that there are`, async (t) => {
    if (!hasPrograms(t, "compose-spec")) return;
    const { registry } = await services("registry.example.org", ...more);
    assert.equal(registry.image, `stowage:${version}`);
    assert.deepEqual([registry.read_only, registry.cap_drop], [true, ["ALL"]]);
    assert.deepEqual(registry.security_opt, ["no-new-privileges:true"]);
    const [command, ...flags] = registry.command;
    assert.equal(command, "serve");
    const parsed = parseFlags(flags, { ADMIN_PASSWORD: "as the secret has it" });
    assert(parsed.ok && parsed.kind === "flags", JSON.stringify(parsed));
    assert.equal(parsed.flags.vars.PUBLIC_URL, "https://registry.example.org");
    assert.equal(
      flags.some((flag) => flag.startsWith("--var=UPSTREAMS=")),
      more.length > 0,
    );
  });
}

test("an image is pushed and pulled through Caddy, as the Compose file starts the two", async (t) => {
  if (!hasPrograms(t, "compose-spec", "caddy")) return;
  const [port, tlsPort] = [await freePort(), await freePort()];
  const host = `localhost:${tlsPort}`;
  const { registry, proxy } = await services(host);
  const directory = temporaryDirectory(t);
  const password = join(directory, "admin_password");
  writeFileSync(password, "correct horse battery staple\n");
  assert.deepEqual(registry.environment, { ADMIN_PASSWORD_FILE: "/run/secrets/admin_password" });
  const data = join(directory, "data");
  const flags = registry.command.map((word) => (word.startsWith("--data=") ? `--data=${data}` : word));
  const server = startProgram(t, [...commandLine, ...flags, "--port", String(port)], {
    data,
    env: { ADMIN_PASSWORD_FILE: password },
  });
  await ready(server);
  const root = await startCaddy(
    t,
    proxy.command.map((word) => word.replace("registry:5000", `127.0.0.1:${port}`)),
  );
  const layout = join(directory, "layout");
  await writeImage(layout, "v1");
  const stowage = async (...args: string[]) => {
    const [node = "", ...words] = commandLine;
    const env = { STOWAGE_PASSWORD: "correct horse battery staple", STOWAGE_URL: `https://${host}` };
    const all = [join(projectDirectory, words.join("/")), ...args];
    return (await run(node, all, { env: { ...env, NODE_EXTRA_CA_CERTS: root } })).stdout;
  };
  await stowage("push", layout, `https://${host}/team/app:v1`);
  assert.match(await stowage("tag", "list", "team/app"), /^v1 /m);
  // Behind the proxy it is the client that the registry sees.
  await until("the request in the log", () => /"method":"PUT".*"repository":"team\/app"/.test(server.stdout));
});
