/** Client programs: whether they are here, and running them. */
import { spawn, spawnSync } from "node:child_process";
import type { TestContext } from "node:test";

const maxSeconds = 300;

/** What a program printed. */
export interface Output {
  stdout: string;
  stderr: string;
}

/** How a program is run. */
export interface RunOptions {
  /** Variables on top of this process's own. */
  env?: Record<string, string>;
  /** What it reads on stdin; nothing if it is not given. */
  input?: string;
  /** Ends the program with SIGKILL. */
  signal?: AbortSignal;
}

/** Whether a program is on the PATH. */
function isInstalled(name: string): boolean {
  return spawnSync("sh", ["-c", `command -v "${name}"`], { stdio: "ignore" }).status === 0;
}

/**
 * Whether a test can run with these programs. If it cannot, the test is skipped, and says why; in CI (`CI=true`)
 * that is a failure.
 *
 * @param programs names on the PATH; `root` stands for being root
 */
export function hasPrograms(t: TestContext, ...programs: string[]): boolean {
  const missing = programs.filter((name) =>
    name === "root" ? process.getuid?.() !== 0 : !isInstalled(name),
  );
  if (missing.length === 0) return true;
  const reason = missing
    .map((name) => (name === "root" ? "this user is not root" : `${name} is not installed`))
    .join(", ");
  if (process.env.CI === "true") throw new Error(`${reason}, and CI must not skip this test`);
  t.skip(reason);
  return false;
}

/**
 * Runs a program to its end.
 *
 * @throws Error with its output if it exits with another code than 0, or takes more than five minutes
 */
export async function run(file: string, args: readonly string[], options: RunOptions = {}): Promise<Output> {
  const timeout = AbortSignal.timeout(maxSeconds * 1000);
  const child = spawn(file, args, {
    env: { ...process.env, ...options.env },
    killSignal: "SIGKILL",
    signal: options.signal === undefined ? timeout : AbortSignal.any([timeout, options.signal]),
    stdio: ["pipe", "pipe", "pipe"],
  });
  // A program that does not read closes its end.
  child.stdin.on("error", () => {}).end(options.input ?? "");
  const output: Output = { stdout: "", stderr: "" };
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    output.stdout += text;
  });
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    output.stderr += text;
  });
  return await new Promise((resolve, reject) => {
    const fail = (how: string) =>
      reject(new Error(`${file} ${args.join(" ")}: ${how}\n${output.stdout}${output.stderr}`));
    child.once("error", (error) => fail(error.message));
    child.once("close", (code, signal) => {
      if (code === 0) resolve(output);
      else fail(`ended with ${signal ?? code}`);
    });
  });
}
