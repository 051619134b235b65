/** distribution, the reference registry, as a process of its own. */
import { spawn } from "node:child_process";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { until } from "../../local/program.ts";
import { endAfterTest } from "../../support/ends.ts";
import { freePort } from "./server.ts";
import type { TokenService } from "./token-server.ts";

/** Starts one with its data below a directory; it ends after the test. `tokens`: whose tokens it wants, if any. Returns its address. */
export async function startDistribution(
  t: TestContext,
  directory: string,
  tokens?: TokenService,
): Promise<string> {
  await mkdir(directory);
  const port = await freePort();
  const config = join(directory, "config.yml");
  const lines = [
    "version: 0.1",
    "log: { level: error, accesslog: { disabled: true } }",
    `storage: { filesystem: { rootdirectory: ${JSON.stringify(join(directory, "data"))} } }`,
    `http: { addr: "127.0.0.1:${port}" }`,
    ...(tokens === undefined ? [] : [`auth: { token: ${JSON.stringify(tokens)} }`]),
  ];
  await writeFile(config, `${lines.join("\n")}\n`);
  const child = spawn("registry", ["serve", config], { stdio: "ignore" });
  endAfterTest(t, child);
  const url = `http://127.0.0.1:${port}`;
  const isUp = (response?: Response) =>
    response?.ok === true || (tokens !== undefined && response?.status === 401);
  await until("distribution", async () => isUp(await fetch(`${url}/v2/`).catch(() => undefined)));
  return url;
}
