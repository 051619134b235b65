/** Data directories that earlier releases wrote; see test/local/earlier-data.test.ts. */
import { execFileSync } from "node:child_process";
import { chmodSync } from "node:fs";
import { join } from "node:path";
import { temporaryData } from "./temporary.ts";

/** The folder with the archives. */
export const archives = join(import.meta.dirname, "..", "local", "earlier-data");

/** A copy of what an archive has, which is removed after the tests of the file. */
export function earlierData(archive: string): string {
  const dataDirectory = temporaryData();
  execFileSync("tar", ["xzf", join(archives, archive), "-C", dataDirectory]);
  // As an operator does at the upgrade; earlier releases let others read it.
  chmodSync(dataDirectory, 0o700);
  return dataDirectory;
}
