/** Programs that tests start, each in a process group of its own, and none of which outlives its test. */
import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { hasEnded, isAlive, signal } from "../../src/local/processes.ts";
import { projectDirectory } from "../../src/local/workerd/bundle.ts";
import { afterTest, type Owner } from "../support/ends.ts";

const bin = join(projectDirectory, "node_modules", ".bin");
const deadlineMs = 60_000;

/** The permissions that `deno task start` gives. */
function denoPermissions(): string[] {
  const file: { tasks: { start: string } } = JSON.parse(
    readFileSync(join(projectDirectory, "deno.json"), "utf8"),
  );
  return file.tasks.start.split(" ").filter((word) => word.startsWith("--allow-"));
}

/** How a TypeScript file is run. */
export const runtimes = {
  node: [process.execPath],
  deno: [join(bin, "deno"), "run", "--no-prompt", ...denoPermissions()],
};

/** A started program. */
export interface Program {
  child: ChildProcess;
  pid: number;
  stdout: string;
  stderr: string;
  /** Exit code and signal, once it has ended. */
  ended: Promise<{ code: number | null; signal: NodeJS.Signals | null }>;
  hasEnded: boolean;
}

/** Polls until the condition holds; fails when that takes too long. */
export async function until<T>(
  what: string,
  condition: () => T | Promise<T>,
  withinMs = deadlineMs,
): Promise<NonNullable<T>> {
  const deadline = performance.now() + withinMs;
  for (;;) {
    const value = await condition();
    if (value) return value;
    if (performance.now() > deadline) throw new Error(`waited too long for ${what}`);
    await delay(10);
  }
}

/** A folder that is removed after the test. Its name has a space, which nothing should mind. */
export function temporaryDirectory(t: Owner): string {
  const directory = mkdtempSync(join(tmpdir(), "stowage test-"));
  afterTest(t, () => rmSync(directory, { recursive: true, force: true, maxRetries: 3 }));
  return directory;
}

/** Starts a program. What is left of it and of workerd on its data directory is killed after the test. */
export function startProgram(
  t: TestContext,
  command: readonly string[],
  { data, env = {} }: { data?: string; env?: Record<string, string> } = {},
): Program {
  const [file = "", ...args] = command;
  const inherited = { ...process.env };
  // The test itself runs under npm; the server must not take that for its own runner.
  for (const name of Object.keys(inherited)) {
    if (/^(npm_|INIT_CWD|NODE_TEST)/.test(name)) delete inherited[name];
  }
  const child = spawn(file, args, {
    cwd: projectDirectory,
    detached: true,
    env: { ...inherited, PATH: `${bin}:${process.env.PATH}`, ...env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const program: Program = {
    child,
    pid: child.pid ?? 0,
    stdout: "",
    stderr: "",
    hasEnded: false,
    ended: new Promise((resolve, reject) => {
      child.once("error", reject);
      child.once("close", (code, name) => {
        program.hasEnded = true;
        resolve({ code, signal: name });
      });
    }),
  };
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    program.stdout += text;
  });
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    program.stderr += text;
  });
  afterTest(t, async () => {
    if (program.pid > 1) signal(-program.pid, "SIGKILL");
    const workerd = data === undefined ? undefined : recordedWorkerd(data);
    if (workerd !== undefined && isAlive(workerd)) signal(workerd, "SIGKILL");
    for (const pid of [program.pid, workerd ?? 0]) await hasEnded(pid, deadlineMs);
  });
  return program;
}

/** Pid of the workerd that was last started on a data directory. */
export function recordedWorkerd(data: string): number | undefined {
  try {
    return Number(readFileSync(join(data, "workerd.pid"), "utf8")) || undefined;
  } catch {
    return undefined;
  }
}

/** Waits for the ready line, of a terminal or of a log in JSON, and returns the URL in it. */
export async function ready(program: Program): Promise<string> {
  const match = await until("the ready line", () => {
    if (program.hasEnded) throw new Error(`ended before it was ready: ${program.stderr}`);
    return /^(?:stowage \S+ is ready at |\{.*"event":"ready".*"url":")(https?:[^"\s]+)/m.exec(program.stdout);
  });
  return match[1] ?? "";
}
