/** What the matrix of clients has shown: kept in files between the tests' processes and the table's. */
import { mkdir, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { projectDirectory } from "../../../src/local/workerd/bundle.ts";

const directory = join(projectDirectory, "test", "clients", "results");

/** What every client is asked for, in the order of the table's columns. */
export const operations = [
  "log in",
  "wrong password refused",
  "other repositories refused",
  "push",
  "pull by tag",
  "pull by digest",
  "list",
  "delete",
] as const;

/** One of them. */
export type Operation = (typeof operations)[number];

/** A client that passed everything that was tried. */
export interface Result {
  client: string;
  version: string;
  /** In the order in which it was tried. */
  passed: string[];
  lacks: Partial<Record<Operation, string>>;
  surprises: readonly string[];
}

/** Keeps a client's result; each client has a test process of its own. */
export async function recordResult(result: Result): Promise<void> {
  await mkdir(directory, { recursive: true });
  await writeFile(join(directory, `${result.client}.json`), JSON.stringify(result, undefined, 2));
}

/** All results since they were last cleared, by the clients' names. */
export async function readResults(): Promise<Result[]> {
  const files = (await readdir(directory).catch(() => [])).sort();
  return Promise.all(files.map(async (file) => JSON.parse(await readFile(join(directory, file), "utf8"))));
}

/** Forgets all results. */
export async function clearResults(): Promise<void> {
  await rm(directory, { recursive: true, force: true });
}
