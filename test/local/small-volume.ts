/** A file system of a few megabytes, which a test can fill. */
import { execFileSync, spawnSync } from "node:child_process";
import {
  closeSync,
  existsSync,
  mkdtempSync,
  openSync,
  rmdirSync,
  rmSync,
  statfsSync,
  writeSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { afterTest } from "../support/ends.ts";

/** Whether this process runs in a namespace that {@link mayMount} made. */
const inNamespace = "STOWAGE_TEST_IN_NAMESPACE";

/**
 * Whether this process may mount. Where it may not, the test file runs again as a user and in a mount namespace of its own,
 * in which it may; what that printed is printed, and nothing is left to do here.
 *
 * @throws Error where there are no such namespaces either, or a test failed in one
 */
export function mayMount(testFile: string): boolean {
  if (process.getuid?.() === 0 || process.env[inNamespace] === "yes") return true;
  const command = ["--user", "--map-root-user", "--mount", process.execPath, "--test", testFile];
  const env = { ...process.env, [inNamespace]: "yes", NODE_TEST_CONTEXT: undefined };
  const { status, error } = spawnSync("unshare", command, { env, stdio: "inherit" });
  if (error !== undefined || status !== 0) {
    throw new Error(
      "this test mounts a tmpfs: it failed in a user namespace, or there can be none; then run it as root",
    );
  }
  return false;
}

/** A tmpfs, which is gone after the test. */
export class SmallVolume {
  readonly path: string;
  readonly #filler: string;

  constructor(t: TestContext, sizeMiB: number) {
    this.path = mkdtempSync(join(tmpdir(), "stowage test-"));
    this.#filler = join(this.path, "somebody-elses-file");
    execFileSync("mount", ["-t", "tmpfs", "-o", `size=${sizeMiB}m`, "tmpfs", this.path]);
    afterTest(t, () => {
      // What was killed a moment ago may have files open.
      execFileSync("umount", ["--lazy", this.path]);
      rmdirSync(this.path);
    });
  }

  /** How many bytes may still be written. */
  freeBytes(): number {
    const { bavail, bsize } = statfsSync(this.path);
    return bavail * bsize;
  }

  /** Writes a file until there is no byte left. */
  fillUp(): void {
    const file = openSync(this.#filler, "a");
    for (const piece of [Buffer.alloc(64 * 1024, 1), Buffer.alloc(1, 1)]) {
      try {
        for (;;) writeSync(file, piece);
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== "ENOSPC") throw error;
      }
    }
    closeSync(file);
  }

  /** Removes that file. */
  giveBack(): void {
    if (existsSync(this.#filler)) rmSync(this.#filler);
  }
}
