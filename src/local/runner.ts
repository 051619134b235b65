/**
 * The package runner that started the server: `npm start`, `deno task start`, `npx deno task start`.
 *
 * Killing it (with SIGKILL; or npm with SIGTERM, which it passes to the shell in between and no further)
 * leaves the server an orphan that nobody sees. So the server watches the processes between itself and
 * its runner. A server that no runner started is left alone: with setsid it outlives its shell.
 */
import { commandOf, hasProc, isAlive, parentOf } from "./processes.ts";

const pollMs = 500;
const npm =
  /^(?:\S*\/)?(?:npm|npx|pnpm|yarn)\b|^\S*node\S* (?:.* )?\S*\/(?:npm|npx|pnpm|yarn)(?:-cli)?(?:\.c?js)?(?: |$)/;
const denoTask = /^(?:\S*\/)?deno (?:.* )?task\b/;
const shell = /^(?:\S*\/)?(?:sh|bash|dash|ash|zsh|ksh) -c /;

/** The role of a process above this server, by its command line; `undefined` for any other program. */
export function roleOf(command: string): "npm" | "deno task" | "shell" | undefined {
  if (npm.test(command)) return "npm";
  if (denoTask.test(command)) return "deno task";
  return shell.test(command) ? "shell" : undefined;
}

/** Pids from this process's parent up to the runner that started it; empty if none did. */
function runnerChain(): number[] {
  // npm and deno both set it for programs that they run.
  if (process.env.INIT_CWD === undefined || process.platform === "win32") return [];
  const pids: number[] = [];
  let lengthUpToRunner = 0;
  for (let pid: number | undefined = process.ppid; pid !== undefined && pid > 1; pid = parentOf(pid)) {
    const role = roleOf(commandOf(pid) ?? "");
    if (role === undefined) break;
    pids.push(pid);
    if (role !== "shell") lengthUpToRunner = pids.length;
    if (role === "npm") break;
  }
  return pids.slice(0, lengthUpToRunner);
}

/** Whether every process of the chain still is the parent of the one before it. */
function isWhole(chain: readonly number[]): boolean {
  if (process.ppid !== chain[0]) return false;
  // A zombie still seems alive, but its children have a new parent at once.
  if (!hasProc) return chain.every(isAlive);
  return chain.every((pid, index) => index === chain.length - 1 || parentOf(pid) === chain[index + 1]);
}

/**
 * Calls back, once, when the runner that started this process has ended without it.
 *
 * @returns a function that stops watching
 */
export function watchRunner(onEnd: () => void): () => void {
  const chain = runnerChain();
  if (chain.length === 0) return () => {};
  const timer = setInterval(() => {
    if (isWhole(chain)) return;
    clearInterval(timer);
    onEnd();
  }, pollMs);
  timer.unref();
  return () => clearInterval(timer);
}
