/** `stowage proxy` as a process of its own, behind a line that bounds the size of a request as the platform does. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { createInterface } from "node:readline";
import type { TestContext } from "node:test";
import { projectDirectory } from "../../../src/local/workerd/bundle.ts";
import { type BoundedLine, openLine } from "../../support/bounded-line.ts";
import { afterTest, endAfterTest } from "../../support/ends.ts";

/** A proxy, and the line behind it. */
export interface ProxiedRegistry {
  /** `127.0.0.1:<port>`, where clients push to. */
  host: string;
  line: BoundedLine;
  pid: number;
}

/** Starts both before a registry; they end after the test. */
export async function startProxied(
  t: TestContext,
  registry: string,
  flags: readonly string[] = [],
  input = "",
): Promise<ProxiedRegistry> {
  const line = await openLine({ to: registry });
  afterTest(t, () => line.close());
  const main = join(projectDirectory, "src", "cli", "main.ts");
  const args = [main, "proxy", "--to", line.url, "--listen", "127.0.0.1:0", ...flags];
  const env = { ...process.env, DOCKER_CONFIG: join(projectDirectory, "no-such-directory") };
  const child = spawn(process.execPath, args, { env, stdio: ["pipe", "ignore", "pipe"] });
  endAfterTest(t, child);
  child.stdin.end(input);
  const [first] = await once(createInterface({ input: child.stderr }), "line");
  const [, host] = /(127\.0\.0\.1:\d+) stands for/.exec(first) ?? [];
  if (host === undefined) throw new Error(`the proxy did not start: ${first}`);
  return { host, line, pid: child.pid ?? 0 };
}
