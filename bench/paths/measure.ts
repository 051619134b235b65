/** The requests whose paths are measured. */
import { join } from "node:path";
import { buildWorker } from "../../src/local/workerd/bundle.ts";
import { Client, fetchOnce } from "../../test/support/client.ts";
import { content, describe, imageManifest } from "../../test/support/content.ts";
import { startInstance } from "../../test/support/miniflare/instance.ts";
import { type Counted, instrument } from "./instrument.ts";

/** What a request did, and the source files that it passed, with the lines of the functions that were called. */
export type Path = { does: string; files: Counted[] };

const repository = "team/app";
const admin = { name: "admin", password: "the password of the paths" };

/** A client that has a bearer token, as docker has. */
async function logIn(url: string): Promise<Client> {
  const administrator = new Client(url, admin);
  return administrator.as(await administrator.bearer(`repository:${repository}:pull,push,delete`));
}

/** The functions that were called since it was asked last, added up by file. */
async function passedSince(url: string, functions: Counted[]): Promise<Counted[]> {
  const numbers: number[] = await (await fetchOnce(`${url}/passed`)).json();
  const lines = new Map<string, number>();
  for (const number of numbers) {
    const called = functions[number];
    if (called?.file.startsWith("src/")) lines.set(called.file, (lines.get(called.file) ?? 0) + called.lines);
  }
  return Array.from(lines, ([file, sum]) => ({ file, lines: sum })).sort((a, b) =>
    a.file < b.file ? -1 : 1,
  );
}

/** Measures each of the requests in a Worker that has answered one of its kind before. */
export async function measurePaths(): Promise<Path[]> {
  const { script, functions } = instrument(
    await buildWorker({ entry: join(import.meta.dirname, "entry.ts") }),
  );
  await using instance = await startInstance({
    script,
    vars: { ADMIN_PASSWORD: admin.password, LOG_FORMAT: "none" },
  });
  const client = await logIn(instance.url);
  const [config, layer] = [content(), content()];
  await client.pushBlob(repository, config);
  const digest = await client.pushBlob(repository, layer);
  const manifestOf = (tag: string) =>
    imageManifest(describe(config, "application/json"), [describe(layer, "application/octet-stream")], {
      annotations: { tag },
    });
  const pushTag = (tag: string) => client.pushManifest(repository, tag, manifestOf(tag));
  const api = `/api/v1/repositories/${repository}`;
  const requests: [does: string, send: (tag: string) => Promise<unknown>][] = [
    ["manifest PUT", pushTag],
    ["blob GET", () => client.must(200, "GET", `/v2/${repository}/blobs/${digest}`)],
    ["GET /api/v1/repositories/{name}", () => client.must(200, "GET", api, { as: admin })],
    ["DELETE of a tag", (tag) => client.must(202, "DELETE", `/v2/${repository}/manifests/${tag}`)],
  ];
  const paths: Path[] = [];
  for (const [does, send] of requests) {
    await send("first");
    await passedSince(instance.url, functions);
    await send("second");
    paths.push({ does, files: await passedSince(instance.url, functions) });
  }
  return paths;
}
