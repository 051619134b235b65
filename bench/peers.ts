/** Other registries to measure beside: running ones that are named, and programs of this machine that are started. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { delimiter, join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { makeFolder } from "./files.ts";
import type { Target } from "./target.ts";

/** Reads `NAME=URL[,user:password]`; `undefined` when it is not that. */
export function parsePeer(text: string): Target | undefined {
  const [, name, url = "", user] = /^([^=]+)=(https?:\/\/[^,]+)(?:,([^:]+:.+))?$/.exec(text) ?? [];
  if (name === undefined || !URL.canParse(url)) return undefined;
  const authorization =
    user === undefined ? {} : { authorization: `Basic ${Buffer.from(user).toString("base64")}` };
  return { name, url: new URL(url).origin, ...authorization };
}

/** A program that serves a registry: what it is called on the `PATH`, and its configuration, as JSON. */
interface Program {
  file: string;
  configuration(folder: string, port: number): object;
}

/** That of distribution, of any version: blobs in files, what is known of them in memory, as its manual has it. */
function distribution(folder: string, port: number): object {
  return {
    version: 0.1,
    log: { level: "error", accesslog: { disabled: true } },
    storage: { filesystem: { rootdirectory: folder }, cache: { blobdescriptor: "inmemory" } },
    http: { addr: `127.0.0.1:${port}` },
  };
}

/** Those that can be started. */
export const programs: Record<string, Program> = {
  /** Debian's, distribution 2. */
  "docker-registry": { file: "docker-registry", configuration: distribution },
  /** Distribution 3: `go install github.com/distribution/distribution/v3/cmd/registry@latest`. */
  distribution: { file: "registry", configuration: distribution },
  /** `zot serve FILE`; its builds without extensions are enough. */
  zot: {
    file: "zot",
    configuration: (folder, port) => ({
      distSpecVersion: "1.1.1",
      storage: { rootDirectory: folder },
      http: { address: "127.0.0.1", port: String(port) },
      log: { level: "error" },
    }),
  },
};

const startMs = 20_000;

/** Where a program is, if it is on the `PATH`. */
export function locate(file: string): string | undefined {
  const folders = (process.env.PATH ?? "").split(delimiter);
  return folders.map((folder) => join(folder, file)).find((path) => existsSync(path));
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  server.close();
  await once(server, "close");
  if (address === null || typeof address === "string") throw new Error("there is no free port");
  return address.port;
}

/** A peer that was started. */
export type Peer = Target & { pid: number } & AsyncDisposable;

/**
 * Starts one of {@link programs} on files of its own; `undefined` where it is not installed. `more`: settings besides
 * those that it has.
 */
export async function startPeer(name: string, more: object = {}): Promise<Peer | undefined> {
  const program = programs[name];
  const path = program && locate(program.file);
  if (program === undefined || path === undefined) return undefined;
  const folder = await makeFolder();
  const file = join(folder.path, "config.json");
  const port = await freePort();
  const configuration = program.configuration(join(folder.path, "data"), port);
  await writeFile(file, JSON.stringify({ ...configuration, ...more }));
  // JSON is YAML, which distribution reads.
  const child = spawn(path, ["serve", file], {
    stdio: "ignore",
    env: { ...process.env, OTEL_TRACES_EXPORTER: "none" },
  });
  const url = `http://127.0.0.1:${port}`;
  const end = async () => {
    if (child.exitCode === null && child.kill("SIGKILL")) await once(child, "exit");
    await folder[Symbol.asyncDispose]();
  };
  const answers = () =>
    fetch(`${url}/v2/`).then(
      ({ ok }) => ok,
      () => false,
    );
  const deadline = Date.now() + startMs;
  while (!(await answers())) {
    if (child.exitCode !== null || Date.now() > deadline) {
      await end();
      throw new Error(`${path} does not start on port ${port}`);
    }
    await delay(10);
  }
  return { name, url, pid: child.pid ?? 0, [Symbol.asyncDispose]: end };
}
