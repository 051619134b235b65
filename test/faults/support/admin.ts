/** What administrators ask for while clients push and pull: it must be in nobody's way. */
import type { Finding, ScrubReport } from "../../../src/contract/scrub.ts";
import { blobs } from "./contents.ts";
import { badBlobs, requireNamed } from "./damage.ts";
import { jsonOf } from "./location.ts";
import { cacheName } from "./memory-upstream.ts";
import type { AdminStep } from "./program.ts";
import { readEverything } from "./reads.ts";
import type { Run } from "./run.ts";

/** Does what an administrator asks for. */
export async function administrate(run: Run, step: AdminStep): Promise<void> {
  switch (step.do) {
    case "collect":
      return run.act(
        () => askInPages(run, "/api/v1/gc"),
        async () => {},
        () => {},
      );
    case "collect now":
      run.eachModel((model) => model.graceBeginsToEnd());
      return run.act(
        () => askInPages(run, "/api/v1/gc", { now: true }),
        async () => run.eachModel((model) => model.graceHasEnded()),
        () => {},
      );
    case "scrub":
      return run.act(
        () => askInPages(run, "/api/v1/scrub"),
        // What it found while a call was under way nobody can say.
        async ({ result, faults, wasHeld }) => {
          if (!wasHeld) checkReports(run, result);
          if (!wasHeld && faults.length === 0)
            requireNamed(run, badBlobs(run), [JSON.stringify(result)], "a scrub");
        },
        () => {},
      );
    case "reindex":
      return run.act(
        () => askInPages(run, "/api/v1/name-index/rebuild"),
        async () => {},
        () => {},
      );
    case "look around":
      return readEverything(run);
  }
}

/** Scrubs. Returns what may be wrong for a while. */
export async function scrub(run: Run): Promise<Finding[]> {
  return checkReports(run, await askInPages(run, "/api/v1/scrub"));
}

/**
 * Nothing may be lost, and nothing stray, whatever went wrong before. Returns what may be wrong for a while: rows of the
 * replica as long as locations see it late, and holders as long as their shards have not heard.
 */
function checkReports(run: Run, reports: ScrubReport[]): Finding[] {
  const problems = reports
    .flatMap((report) => report.problems)
    .filter((each) => !isAskedFor(run, each) && !run.damage.isOf(each.digest));
  run.require(problems.length === 0, `a scrub found problems: ${JSON.stringify(problems)}`);
  const repaired = reports.flatMap((report) => report.repaired);
  const lost = repaired.filter(
    (each) => !each.what.includes("replica") && !isLeaving(run, each) && !isReplaced(run, each),
  );
  run.require(lost.length === 0, `a scrub found what should not be: ${JSON.stringify(lost)}`);
  return repaired;
}

/** Whether an index lacks a manifest because a client deleted that one alone. */
function isAskedFor(run: Run, { what, repository, digest }: Finding): boolean {
  if (what !== "reference" || repository === cacheName) return false;
  const index = run.manifests.find((manifest) => manifest.kind === "index" && manifest.digest === digest);
  const model = run.model(run.repositories.findIndex((number) => run.name(number) === repository));
  return index?.references.some((number) => model.manifest(number) !== "yes") === true;
}

/** Whether a ledger had yet to hear of other bytes for a digest. */
function isReplaced(run: Run, { what }: Finding): boolean {
  return what === "location" && run.mayBeReplaced;
}

/** Whether a shard has yet to hear that a repository gave a blob up. */
function isLeaving(run: Run, { what, repository, digest }: Finding): boolean {
  if (what !== "holder") return false;
  // An eviction that has just been.
  if (repository === cacheName) return true;
  const model = run.model(run.repositories.findIndex((number) => run.name(number) === repository));
  const blob = blobs.findIndex((content) => content.digest === digest);
  return model.blob(blob) !== "yes";
}

/** Asks until there is no more to do; where a fault cut it short, not at all. */
async function askInPages(run: Run, path: string, fields: object = {}): Promise<ScrubReport[]> {
  const reports: ScrubReport[] = [];
  for (let cursor: string | undefined = ""; cursor !== undefined; ) {
    const body = new TextEncoder().encode(JSON.stringify(cursor === "" ? fields : { ...fields, cursor }));
    const options = { as: "administrator", headers: { "Content-Type": "application/json" }, body } as const;
    const { result: reply, faults } = await run.counting(() => run.clients.send(0, "POST", path, options));
    if (reply.status >= 500) {
      run.requireExcused(reply, faults, path);
      return [];
    }
    run.require(reply.status === 200, `${path} is answered with ${reply.status}`);
    const report = jsonOf<ScrubReport>(reply);
    // What could not be looked at is said, and may be all right.
    const isUnknown = ({ detail = "" }: Finding) => faults.length > 0 && detail.includes("could not be");
    reports.push({ ...report, problems: report.problems?.filter((each) => !isUnknown(each)) });
    ({ cursor } = report);
  }
  return reports;
}
