/**
 * `npm run test:clients`: runs the tests with real clients, and makes docs/clients.md of what the matrix shows. In CI
 * (`CI=true`) the page has to be there already.
 *
 * Arguments are the test files to run; then the page stays as it is.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { globSync } from "node:fs";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { projectDirectory } from "../../src/local/workerd/bundle.ts";
import { clearResults, readResults } from "./support/results.ts";
import { renderTable, withoutVersions } from "./support/table.ts";

const page = join(projectDirectory, "docs", "clients.md");
/** Pushes over a slow line take minutes, and leave the machine idle: they run beside the others. */
const idleTests = [join("test", "clients", "long-push.test.ts")];

/** One file at a time: each has a server of its own, and a large layer. Its output is shown at once, or at its end. */
async function runTests(files: readonly string[], shown: "at once" | "at the end"): Promise<number> {
  const args = ["--test", "--test-concurrency=1", ...files];
  const stdout = shown === "at once" ? "inherit" : "pipe";
  const child = spawn(process.execPath, args, {
    cwd: projectDirectory,
    stdio: ["ignore", stdout, "inherit"],
  });
  const output: Buffer[] = [];
  child.stdout?.on("data", (bytes: Buffer) => output.push(bytes));
  const [code] = await once(child, "close");
  process.stdout.write(Buffer.concat(output));
  return code ?? 1;
}

/** All of them; how many of the two runs failed. */
async function runAll(): Promise<number> {
  const all = globSync("test/clients/**/*.test.ts", { cwd: projectDirectory }).toSorted();
  const idle = runTests(idleTests, "at the end");
  const others = await runTests(
    all.filter((file) => !idleTests.includes(file)),
    "at once",
  );
  return [others, await idle].filter((code) => code !== 0).length;
}

/** Writes the page, or in CI compares it; returns whether it is as it should be. */
async function keepPage(): Promise<boolean> {
  const results = await readResults();
  const made = renderTable(results);
  const kept = await readFile(page, "utf8").catch(() => "");
  if (withoutVersions(made) === withoutVersions(kept)) return true;
  if (process.env.CI === "true") {
    console.error("docs/clients.md is not what the clients show: run npm run test:clients and commit it");
    return false;
  }
  const clients = [...kept.matchAll(/^- (\S+) \d\S*$/gm)].map(([, name]) => name);
  const missing = clients.filter((name) => results.every(({ client }) => client !== name));
  if (missing.length > 0) {
    console.log(`docs/clients.md stays as it is, as these clients are missing here: ${missing.join(", ")}`);
    return true;
  }
  await writeFile(page, made);
  console.log("docs/clients.md is written");
  return true;
}

const files = process.argv.slice(2);
await clearResults();
process.exitCode = files.length === 0 ? await runAll() : await runTests(files, "at once");
if (files.length === 0 && process.exitCode === 0 && !(await keepPage())) process.exitCode = 1;
