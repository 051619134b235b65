/** The Python library of oras, as scripts use it. */
import assert from "node:assert/strict";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import test from "node:test";
import { startClient } from "../support/matrix.ts";
import { sha256 } from "../support/oci-layout.ts";
import { run } from "../support/programs.ts";

/** Logs in, calls one method of the client, and prints what it returns as JSON. */
const script = `
import json, sys, oras.client
host, config, user, password, backend, method, arguments = sys.argv[1:]
client = oras.client.OrasClient(hostname=host, insecure=True, auth_backend=backend)
print(client.login(username=user, password=password, hostname=host, config_path=config), file=sys.stderr)
answer = getattr(client, method)(**json.loads(arguments)) if method != "" else None
status = getattr(answer, "status_code", None)
print(json.dumps(answer if status is None else status))
`;

test("python-oras", async (t) => {
  const client = await startClient(t, {
    name: "python-oras",
    programs: ["python-oras"],
    version: ["python-oras", "-c", "from importlib.metadata import version; print(version('oras'))"],
    credential: "token",
    lacks: {},
    surprises: [
      "`login` does not ask the registry: a wrong password shows at the first request after it.",
      'With a token it can pull but not push: for all requests it uses the token of the first one, a HEAD. Pushes and deletions need `auth_backend="basic"`, which the registry accepts.',
    ],
  });
  if (client === undefined) return;
  const { as, directory, server } = client;
  const artifact = client.image("artifact");
  const config = join(directory, "config.json");
  const call = (method: string, args: object, backend: "token" | "basic" = "token", password = as.password) =>
    run("env", [
      ...["-C", directory, "python-oras", "-c", script],
      ...[server.host, config, as.name, password, backend, method, JSON.stringify(args)],
    ]);
  const report = Buffer.from("all is well");
  await writeFile(join(directory, "report.txt"), report);
  const push = (target: string, password?: string) =>
    call("push", { target, files: ["report.txt"], quiet: true }, "basic", password);
  const pullsBack = async (target: string, to: string) => {
    await mkdir(join(directory, to));
    await call("pull", { target, outdir: join(directory, to) });
    assert.deepEqual(await readFile(join(directory, to, "report.txt")), report);
  };

  await client.can("log in", async () => {
    await call("", {});
  });
  await client.can("push", async () => {
    await push(`${artifact}:v1`);
    assert((await server.contents(client.repository("artifact"), "v1")).includes(sha256(report)));
  });
  await client.can("pull by tag", () => pullsBack(`${artifact}:v1`, "by-tag"));
  await client.can("pull by digest", async () => {
    const digest = sha256(await server.manifest(client.repository("artifact"), "v1"));
    await pullsBack(`${artifact}@${digest}`, "by-digest");
  });
  await client.also("a push in chunks", async () => {
    const big = Buffer.alloc(40 * 1024 * 1024, "stowage");
    await writeFile(join(directory, "big"), big);
    const chunked = { files: ["big"], do_chunked: true, quiet: true };
    await call("push", { target: `${artifact}:big`, ...chunked }, "basic");
    assert((await server.contents(client.repository("artifact"), "big")).includes(sha256(big)));
  });
  await client.can("list", async () => {
    const { stdout } = await call("get_tags", { container: artifact });
    assert.deepEqual(JSON.parse(stdout), ["big", "v1"]);
  });
  await client.can("delete", async () => {
    await call("delete_tags", { name: artifact, tags: ["v1"] }, "basic");
    assert.deepEqual(JSON.parse((await call("get_tags", { container: artifact })).stdout), ["big"]);
  });
  await client.isRefused("other repositories refused", () => push(client.foreign));
  await client.isRefused("wrong password refused", () => push(`${artifact}:v2`, "wrong"));
  await client.finish();
});
