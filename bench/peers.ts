/** Other registries to measure beside: running ones that are named, and Debian's docker-registry. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
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

const program = "/usr/bin/docker-registry";
const startMs = 10_000;

/** Starts Debian's docker-registry on files of its own; `undefined` where it is not installed. */
export async function startDockerRegistry(port: number): Promise<(Target & AsyncDisposable) | undefined> {
  if (!existsSync(program)) return undefined;
  const folder = await makeFolder();
  const file = join(folder.path, "config.yml");
  const configuration = {
    version: 0.1,
    log: { level: "error", accesslog: { disabled: true } },
    storage: {
      filesystem: { rootdirectory: join(folder.path, "data") },
      cache: { blobdescriptor: "inmemory" },
    },
    http: { addr: `127.0.0.1:${port}` },
  };
  await writeFile(file, JSON.stringify(configuration));
  const child = spawn(program, ["serve", file], { stdio: "ignore" });
  const url = `http://127.0.0.1:${port}`;
  const end = async () => {
    if (child.exitCode === null && child.kill("SIGKILL")) await once(child, "exit");
    await folder[Symbol.asyncDispose]();
  };
  const deadline = Date.now() + startMs;
  while (
    !(await fetch(`${url}/v2/`).then(
      ({ ok }) => ok,
      () => false,
    ))
  ) {
    if (child.exitCode !== null || Date.now() > deadline) {
      await end();
      throw new Error(`${program} does not start on port ${port}`);
    }
    await delay(50);
  }
  return { name: "docker-registry", url, [Symbol.asyncDispose]: end };
}
