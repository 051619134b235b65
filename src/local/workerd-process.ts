/**
 * The process that runs the Worker.
 *
 * Miniflare starts workerd and ends it with SIGKILL. The local server needs three things more, and gets
 * them by having Miniflare start workerd.sh, which becomes workerd:
 *
 * - workerd ends with the server, even where the server is killed (Linux: by the kernel; elsewhere the
 *   next start on the same data directory ends what was left running);
 * - workerd does not end with Ctrl-C, which a terminal sends to the whole process group, but once its
 *   requests are finished;
 * - its pid is known: on SIGTERM, workerd takes no more requests, finishes those in flight and exits.
 */
import { accessSync, chmodSync, constants, readFileSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { commandOf, hasEnded, signal } from "./processes.ts";

const wrapper = join(import.meta.dirname, "workerd.sh");
const killTimeoutMs = 5000;
const endingMs = 500;

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** Where Miniflare would find workerd, had it not been told otherwise. */
function workerdPath(): string {
  const miniflare = createRequire(import.meta.url).resolve("miniflare");
  const workerd: { default: string } = createRequire(miniflare)("workerd");
  return workerd.default;
}

/**
 * Has every Miniflare of this process start workerd through the wrapper. Where the wrapper cannot run
 * (Windows, an archive unpacked without its permissions on a read-only disk) workerd is started bare.
 *
 * @param dataDirectory absolute path of the data directory, where workerd's pid is recorded
 * @returns variables for the environment of the workerd that serves this directory
 */
export function wrapWorkerd(dataDirectory: string | undefined): Record<string, string> {
  if (process.platform === "win32") return {};
  if (process.env.MINIFLARE_WORKERD_PATH !== wrapper) {
    if (!isExecutable(wrapper)) {
      try {
        chmodSync(wrapper, 0o755);
      } catch {
        return {};
      }
    }
    // Set already where this process was started by another that serves, out of another folder.
    process.env.STOWAGE_WORKERD ||= process.env.MINIFLARE_WORKERD_PATH || workerdPath();
    process.env.MINIFLARE_WORKERD_PATH = wrapper;
  }
  return {
    STOWAGE_SERVER: String(process.pid),
    STOWAGE_BOUND: "",
    STOWAGE_DATA: dataDirectory ?? "",
  };
}

function recordedPid(dataDirectory: string): number | undefined {
  try {
    const pid = Number(readFileSync(join(dataDirectory, "workerd.pid"), "utf8"));
    return pid > 1 ? pid : undefined;
  } catch {
    return undefined;
  }
}

/** Pid of the workerd that serves this data directory; undefined if none does. */
export function workerdPid(dataDirectory: string): number | undefined {
  const pid = recordedPid(dataDirectory);
  if (pid === undefined) return undefined;
  // The pid may have gone to another process since: the command line tells.
  return commandOf(pid)?.includes(`--import-path=${dataDirectory}`) ? pid : undefined;
}

/**
 * Ends the workerd that a killed server left running on this data directory, and waits until it is gone.
 * To be called by the holder of the directory's lock.
 *
 * @returns false if it is still running
 */
export async function endLeftOver(dataDirectory: string): Promise<boolean> {
  const recorded = recordedPid(dataDirectory);
  if (recorded === undefined) return true;
  const pid = workerdPid(dataDirectory);
  if (pid !== undefined) {
    signal(pid, "SIGKILL");
    return await hasEnded(pid, killTimeoutMs);
  }
  // A process that is ending has no command line any more, but may have the port for a moment.
  if (commandOf(recorded) === undefined) await hasEnded(recorded, endingMs);
  return true;
}

/**
 * Lets workerd finish the requests in flight, and waits until it has ended. Miniflare, which would start
 * it again, is kept from doing so: no Miniflare of this process starts anything after this.
 *
 * @param graceMs how long requests have to finish
 * @returns false if requests were still in flight then, and workerd still runs
 */
export async function drainWorkerd(dataDirectory: string, graceMs: number): Promise<boolean> {
  const pid = workerdPid(dataDirectory);
  process.env.MINIFLARE_WORKERD_PATH = "";
  if (pid === undefined) return true;
  signal(pid, "SIGTERM");
  return await hasEnded(pid, graceMs);
}

/** Removes the record of a workerd that has ended. */
export function forgetWorkerd(dataDirectory: string): void {
  rmSync(join(dataDirectory, "workerd.pid"), { force: true });
}
