/**
 * All that is promised of policies, measured: what each part found is in its lines that begin with ℹ.
 *
 * `npm run test:retention [-- --only PART] [--cases N] [--years N] [--tags N]`
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { parseArgs } from "node:util";
import { projectDirectory } from "../../src/local/workerd/bundle.ts";

const parts: Record<string, { shows: string; files: string[] }> = {
  decisions: {
    shows: "the trial, the run and a model agree on tables and random repositories; years in memory",
    files: [
      "test/unit/policy/retention.test.ts",
      "test/unit/retention-runs.test.ts",
      "test/unit/retention-random.test.ts",
    ],
  },
  batches: { shows: "rows and time of batches", files: ["test/unit/retention-scale.test.ts"] },
  pulls: { shows: "how long pulls take during a run", files: ["test/endurance/retention-pulls.ts"] },
  years: {
    shows: "crane pulls all that is kept after years",
    files: ["test/clients/retention-years.test.ts"],
  },
  undo: { shows: "a wrong document is undone as a whole", files: ["test/objects/retention.test.ts"] },
  clients: {
    shows: "cosign, buildctl and helm push under a strict document",
    files: ["test/clients/strict-policy.test.ts"],
  },
};

const { values } = parseArgs({
  options: {
    only: { type: "string", multiple: true, default: Object.keys(parts) },
    cases: { type: "string", default: "1000" },
    years: { type: "string", default: "10" },
    tags: { type: "string", default: "10000" },
  },
});
const unknown = values.only.filter((name) => !Object.hasOwn(parts, name));
if (unknown.length > 0) {
  console.error(`no such part: ${unknown.join(", ")}; there are ${Object.keys(parts).join(", ")}`);
  process.exit(2);
}

const env = {
  ...process.env,
  RETENTION_CASES: values.cases,
  RETENTION_YEARS: values.years,
  RETENTION_TAGS: values.tags,
};
for (const name of values.only) {
  const { shows, files } = parts[name] ?? { shows: "", files: [] };
  console.log(`${name}: ${shows}`);
  const args = ["--test", "--test-concurrency=1", ...files];
  const [code] = await once(
    spawn(process.execPath, args, { cwd: projectDirectory, env, stdio: "inherit" }),
    "close",
  );
  if (code !== 0) process.exitCode = 1;
}
