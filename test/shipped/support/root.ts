/** A root file system in a folder, in which programs run. */
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { run } from "../../clients/support/programs.ts";
import { afterTest } from "../../support/ends.ts";

/** The devices that there are, by their minor numbers (major 1). */
const devices = { null: "3", zero: "5", full: "7", random: "8", urandom: "9" };

/** A root file system. */
export type Root = {
  directory: string;
  /** The path of a file of it. */
  at: (path: string) => string;
  /** Runs a program in it, and returns what it prints. */
  inside: (...command: string[]) => Promise<string>;
};

/**
 * Unpacks archives over each other, with processes and devices of their own. It is removed after the test.
 *
 * @param archives files of tar; those that come later replace files of those before
 */
export function unpackRoot(t: TestContext, ...archives: readonly string[]): Root {
  const directory = mkdtempSync(join(tmpdir(), "stowage-root-"));
  const at = (path: string) => join(directory, path);
  const mounted: string[] = [];
  // In this order: what is mounted must not be removed.
  afterTest(t, () => {
    for (const folder of mounted) execFileSync("umount", [folder]);
    rmSync(directory, { recursive: true, force: true });
  });
  for (const archive of archives)
    execFileSync("tar", [
      "-xf",
      archive,
      "-C",
      directory,
      "--numeric-owner",
      "--exclude=./dev/*",
      "--exclude=dev/*",
    ]);
  const mount = (folder: string, ...flags: string[]) => {
    execFileSync("mount", [...flags, at(folder)]);
    mounted.push(at(folder));
  };
  mount("proc", "-t", "proc", "proc");
  // Not those of this machine: whoever removes the folder of a test that was killed would remove them.
  mount("dev", "-t", "tmpfs", "-o", "mode=755", "tmpfs");
  for (const [name, minor] of Object.entries(devices))
    execFileSync("mknod", ["-m", "666", at(join("dev", name)), "c", "1", minor]);
  const inside = async (...command: string[]) => {
    const env = { DEBIAN_FRONTEND: "noninteractive", PATH: "/usr/sbin:/usr/bin:/sbin:/bin" };
    return (await run("/usr/sbin/chroot", [directory, ...command], { env })).stdout;
  };
  return { directory, at, inside };
}
