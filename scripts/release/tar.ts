/** Archives that are the same each time: sorted, of root, and of one time. */
import { execFileSync } from "node:child_process";

/** The flags of GNU tar for an archive all of whose entries have this time. Owners and modes are those of the files. */
export function fixedFlags(epochSeconds: number): string[] {
  return ["--format=gnu", "--sort=name", "--numeric-owner", `--mtime=@${epochSeconds}`];
}

/** Runs GNU tar. */
export function tar(...args: string[]): void {
  execFileSync("tar", args, { stdio: ["ignore", "ignore", "inherit"] });
}
