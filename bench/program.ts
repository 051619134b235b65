/** The local server as users run it: a process of its own, with the reverse proxy that clients meet. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { projectDirectory } from "../src/local/workerd/bundle.ts";
import { workerdPid } from "../src/local/workerd/process.ts";
import type { Variables } from "../src/settings/settings.ts";
import { makeFolder } from "./files.ts";
import type { BenchInstance } from "./instance.ts";
import type { Target } from "./target.ts";

/**
 * Starts it on a data directory and waits for its ready line. It is told to end in the end, and awaited. `under`: a
 * command that runs it and stays the process that was started. `vars`: variables of the Worker. `env`: of its environment,
 * which has its secrets.
 */
export async function startProgram(
  data: string,
  under: string[] = [],
  vars: Variables = {},
  env: Record<string, string> = {},
): Promise<Target & { pid: number } & AsyncDisposable> {
  const main = join(projectDirectory, "src", "local", "main.ts");
  const args = [main, "--port", "0", "--data", data, "--log", "none"];
  for (const [name, value] of Object.entries(vars)) args.push("--var", `${name}=${value}`);
  const command = [...under, process.execPath, ...args];
  return { name: "stowage on disk", ...(await startReady(command, { ...process.env, ...env })) };
}

/** Starts a command that is, or runs, the local server, and waits for its ready line. It is ended, and awaited. */
export async function startReady(
  command: readonly string[],
  env: NodeJS.ProcessEnv = process.env,
): Promise<{ url: string; pid: number } & AsyncDisposable> {
  const [file = process.execPath, ...args] = command;
  const child = spawn(file, args, { env, stdio: ["ignore", "pipe", "ignore"] });
  const end = async () => {
    const ended = once(child, "exit");
    child.kill("SIGTERM");
    await ended;
  };
  for await (const line of createInterface(child.stdout)) {
    const [, url] = /^stowage \S+ is ready at (\S+)$/.exec(line) ?? [];
    if (url !== undefined) return { url, pid: child.pid ?? 0, [Symbol.asyncDispose]: end };
  }
  throw new Error("the local server ended before it was ready");
}

/** Starts it on an empty data directory, with its blobs in files. */
export async function startServer(vars: Variables = {}): Promise<BenchInstance> {
  const data = await makeFolder();
  const program = await startProgram(data.path, [], vars);
  const pid = workerdPid(data.path);
  if (pid === undefined) throw new Error("workerd's process is not known");
  return {
    url: program.url,
    target: program,
    workerdPid: pid,
    [Symbol.asyncDispose]: async () => {
      await program[Symbol.asyncDispose]();
      await data[Symbol.asyncDispose]();
    },
  };
}
