/** The modes of files that are packed. */
import { chmodSync, globSync, lstatSync } from "node:fs";
import { join } from "node:path";

/**
 * Whatever the modes are where it is built: files are for all to read and for their owner to write, and programs to run.
 *
 * @param programs what the paths of programs match, relative to the folder
 */
export function closeModes(directory: string, programs: RegExp): void {
  for (const name of ["", ...globSync("**/*", { cwd: directory })]) {
    const stats = lstatSync(join(directory, name));
    if (stats.isSymbolicLink()) continue;
    chmodSync(join(directory, name), stats.isDirectory() || programs.test(name) ? 0o755 : 0o644);
  }
}
