/**
 * The walk over the list of repositories after a new policy document: ledgers from which its rules remove tags are told,
 * so that they begin, also those that nobody pushes to. Ledgers that have begun ask for the document themselves.
 */
import { policyFor, type StoredPolicies } from "../../policy/document.ts";
import { type ObjectBindings, repositoryStub } from "../../rpc/stubs.ts";
import type { DueRow, DueTable } from "../due.ts";
import { type TransactionalStorage, type Tx, transaction } from "../sql.ts";
import { idOfOne, nameOfOne, tellLedgers } from "../tell-ledgers.ts";
import type { Policies } from "./policies.ts";
import type { RepositoryList } from "./repository-list.ts";

/**
 * The job of the walk. Its id is the version of the document, and the repository after which it goes on; or one whose
 * ledger was not reached, with a mark (`idOfOne`).
 */
export const armingJob = "arm-retention";

const batch = 100;

type Walked = {
  env: ObjectBindings;
  storage: TransactionalStorage;
  due: DueTable;
  policies: Policies;
  repositories: RepositoryList;
};

/** Schedules the walk for a document. */
export function scheduleArming(tx: Tx, due: DueTable, { version }: StoredPolicies, now: number): void {
  due.set(tx, armingJob, `${version} `, now);
}

/** Tells the next ledgers, and those again that were not reached. */
export async function runArming(walked: Walked, rows: DueRow[], now: number): Promise<void> {
  await Promise.all(rows.map((row) => runRow(walked, row, now)));
}

async function runRow(
  { env, storage, due, policies, repositories }: Walked,
  row: DueRow,
  now: number,
): Promise<void> {
  const [version, after = ""] = row.id.split(" ");
  const name = nameOfOne(row.id);
  const { rules, version: current } = policies.read() ?? { rules: [], version: 0 };
  const isCurrent = String(current) === version;
  const nobody = { entries: [], more: false };
  const next = () =>
    name === undefined ? repositories.page("", after, batch) : { entries: [{ name }], more: false };
  const page = isCurrent ? next() : nobody;
  const untold = await tellLedgers(
    page.entries.map((entry) => entry.name),
    async (told) => {
      const policy = policyFor(rules, told);
      if (policy.remove !== undefined)
        await repositoryStub(env, told).adoptPolicy({ version: current, policy });
    },
  );
  const last = page.entries.at(-1)?.name;
  transaction(storage, (tx) => {
    due.clear(tx, armingJob, row.id);
    for (const { name: again, againInMs } of untold) {
      due.set(tx, armingJob, idOfOne(`${version} ${again}`), now + againInMs);
    }
    if (page.more) due.set(tx, armingJob, `${version} ${last}`, now);
  });
}
