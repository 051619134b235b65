/**
 * What other processes on this machine are doing: from /proc, or from `ps` where there is none, or none that may be read
 * (Deno lets nobody read it who has not all permissions).
 */
import { execFileSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";

const pollMs = 20;

/** Whether /proc has the processes. */
export const hasProc = proc(process.pid, "stat") !== undefined;

function ps(pid: number, column: string): string | undefined {
  try {
    const text = execFileSync("ps", ["-ww", "-o", `${column}=`, "-p", String(pid)], {
      encoding: "utf8",
      stdio: ["ignore", "pipe", "ignore"],
    });
    return text.trim() || undefined;
  } catch {
    return undefined;
  }
}

function proc(pid: number, file: string): string | undefined {
  try {
    return readFileSync(`/proc/${pid}/${file}`, "utf8");
  } catch {
    return undefined;
  }
}

/** The command line of a process, its arguments separated by spaces; undefined if there is no such process. */
export function commandOf(pid: number): string | undefined {
  if (!hasProc) return ps(pid, "command");
  return proc(pid, "cmdline")?.replaceAll("\0", " ").trim() || undefined;
}

/** proc(5): pid (name) state ppid …; the name may hold spaces and brackets. */
function stateAndParent(pid: number): [state: string, parent: number] | undefined {
  const stat = proc(pid, "stat");
  const [state, parent] = stat?.slice(stat.lastIndexOf(")") + 2).split(" ") ?? [];
  return state === undefined ? undefined : [state, Number(parent)];
}

/** The pid of a process's parent; undefined if there is no such process. */
export function parentOf(pid: number): number | undefined {
  if (hasProc) return stateAndParent(pid)?.[1];
  const text = ps(pid, "ppid");
  return text === undefined ? undefined : Number(text);
}

function threadCount(pid: number): number {
  try {
    return readdirSync(`/proc/${pid}/task`).length;
  } catch {
    return 0;
  }
}

/** Whether a process with this pid exists and holds files and ports. */
export function isAlive(pid: number): boolean {
  if (hasProc) {
    const state = stateAndParent(pid)?.[0];
    // An ended process stays as a zombie until its parent asks, in a container perhaps for ever. But its
    // first thread may be one before the others have ended.
    return state !== undefined && state !== "X" && (state !== "Z" || threadCount(pid) > 1);
  }
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}

/** Sends a signal; that the process has ended already is no error. */
export function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch {}
}

/**
 * Waits until a process has ended.
 *
 * @param timeoutMs how long to wait at most
 * @returns whether it has ended
 */
export async function hasEnded(pid: number, timeoutMs: number): Promise<boolean> {
  const deadline = performance.now() + timeoutMs;
  while (isAlive(pid)) {
    if (performance.now() >= deadline) return false;
    await delay(pollMs);
  }
  return true;
}
