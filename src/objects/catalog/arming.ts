/**
 * The walk over the list of repositories after a new policy document: ledgers from which its rules remove tags are told,
 * so that they begin, also those that nobody pushes to. Ledgers that have begun ask for the document themselves.
 */
import { type AppliedPolicy, policyFor, type StoredPolicies } from "../../policy/document.ts";
import { type ObjectBindings, repositoryStub } from "../../rpc/stubs.ts";
import type { DueRow, DueTable } from "../due.ts";
import { type TransactionalStorage, type Tx, transaction } from "../sql.ts";
import type { Policies } from "./policies.ts";
import type { RepositoryList } from "./repository-list.ts";

/** The job of the walk; its id is the version of the document, and the repository after which it goes on. */
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

/** Does the next batches. If a ledger cannot be reached, its batch is repeated. */
export async function runArming(
  { env, storage, due, policies, repositories }: Walked,
  rows: DueRow[],
  now: number,
): Promise<void> {
  const document = policies.read();
  for (const { id } of rows) {
    const [version, after = ""] = id.split(" ");
    const isCurrent = document !== undefined && String(document.version) === version;
    const page = isCurrent ? repositories.page("", after, batch) : { entries: [], more: false };
    const told = page.entries.flatMap(({ name }) => {
      const policy = policyFor(document?.rules ?? [], name);
      if (policy.remove === undefined) return [];
      const applied: AppliedPolicy = { version: document?.version ?? 0, policy };
      return [repositoryStub(env, name).adoptPolicy(applied)];
    });
    await Promise.all(told);
    const last = page.entries.at(-1)?.name;
    transaction(storage, (tx) => {
      due.clear(tx, armingJob, id);
      if (page.more) due.set(tx, armingJob, `${version} ${last}`, now);
    });
  }
}
