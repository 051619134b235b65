/** Keeps the data directory of a release. README.md in this folder says how it is called. */
import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { createInterface } from "node:readline";
import { adminPassword, fill, releaseVars } from "../../support/release-data.ts";

/** What a server has only while it runs, or makes again at its start: the reserve file is 16 MiB that do not compress. */
const passing = ["./lock", "./server.json", "./workerd.pid", "./reserve"];

/** Runs the local server of a checkout on a data directory, while somebody works with it. */
async function withServer<T>(checkout: string, data: string, work: (url: string) => Promise<T>): Promise<T> {
  const node = join(checkout, "node_modules", ".bin", "node");
  const flags = [
    "--port",
    "0",
    "--data",
    data,
    "--log",
    "none",
    ...releaseVars.flatMap((each) => ["--var", each]),
  ];
  const server = spawn(node, ["src/local/main.ts", ...flags], {
    cwd: checkout,
    env: { ...process.env, ADMIN_PASSWORD: adminPassword },
    stdio: ["ignore", "pipe", "inherit"],
  });
  const ended = once(server, "exit");
  try {
    for await (const line of createInterface(server.stdout)) {
      const [, url] = /^stowage (?:\S+ )?is ready at (\S+)$/.exec(line) ?? [];
      if (url !== undefined) return await work(url);
    }
    throw new Error("the server ended before it was ready");
  } finally {
    server.kill("SIGTERM");
    await ended;
  }
}

const [checkout, name] = process.argv.slice(2);
if (checkout === undefined || name === undefined) {
  process.stderr.write("node test/local/earlier-data/make.ts CHECKOUT NAME\n");
  process.exit(2);
}
const data = mkdtempSync(join(tmpdir(), "stowage-release-"));
const facts = await withServer(resolve(checkout), data, fill);
writeFileSync(join(import.meta.dirname, `${name}.json`), `${JSON.stringify(facts, undefined, 2)}\n`);
const archive = join(import.meta.dirname, `${name}.tar.gz`);
const without = passing.map((file) => `--exclude=${file}`);
execFileSync("tar", ["-I", "gzip -9n", "-cf", archive, ...without, "-C", data, "."]);
rmSync(data, { recursive: true });
