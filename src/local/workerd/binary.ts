/** workerd's executable: where it is, and why it may not run. */
import { spawnSync } from "node:child_process";
import { createRequire } from "node:module";
import { messageOf } from "../message-of.ts";
import { WorkerdError } from "./errors.ts";

const needs =
  "it needs Linux with glibc 2.35 or newer (Debian 12, Ubuntu 22.04; not Alpine), macOS 13.5 or newer, or Windows 11, " +
  "on x86-64 or arm64";
const patienceMs = 10_000;

/**
 * The path of workerd's executable: that of the npm package, unless the variable STOWAGE_WORKERD names another.
 *
 * @throws WorkerdError if the package has none for this machine
 */
export function workerdFile(): string {
  if (process.env.STOWAGE_WORKERD) return process.env.STOWAGE_WORKERD;
  try {
    const workerd: { default: string } = createRequire(import.meta.url)("workerd");
    return workerd.default;
  } catch (error) {
    throw cannotRun(messageOf(error));
  }
}

/** Runs workerd for nothing, after it did not start; returns an error if it does not run on this machine at all. */
export function whyNotRun(file: string): WorkerdError | undefined {
  const { status, error, stderr } = spawnSync(file, ["--version"], { encoding: "utf8", timeout: patienceMs });
  return status === 0 ? undefined : cannotRun(error?.message ?? stderr);
}

function cannotRun(said: string): WorkerdError {
  const [line = ""] = said.trim().split("\n");
  return new WorkerdError(
    `workerd, which runs the registry, does not run on this machine: ${needs} (${line})`,
  );
}
