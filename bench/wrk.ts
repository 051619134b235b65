/** wrk, the load generator: written in C, so that on few cores it takes less from the server than Node does. */
import { execFile, execFileSync } from "node:child_process";
import { promisify } from "node:util";
import type { LoadRequest } from "./load.ts";

/** Whether it is installed. */
export function hasWrk(): boolean {
  try {
    // It says its usage, and exits with 1.
    execFileSync("wrk", ["--version"], { stdio: "ignore" });
    return true;
  } catch (error) {
    return !(error instanceof Error && "code" in error && error.code === "ENOENT");
  }
}

const unitMs: Record<string, number> = { us: 0.001, ms: 1, s: 1000, m: 60_000 };

/** What it says of a percentile, in milliseconds. */
function latency(report: string, percentile: string): number {
  const [, value, unit = ""] =
    new RegExp(`^\\s+${percentile}%\\s+([\\d.]+)(us|ms|s|m)$`, "m").exec(report) ?? [];
  return Number(value) * (unitMs[unit] ?? Number.NaN);
}

/**
 * Sends the same GET as fast as it is answered, on so many connections, from one thread.
 *
 * @throws if an answer is no success, or a connection breaks
 */
export async function wrk(
  base: string,
  { path, headers = {} }: Pick<LoadRequest, "path" | "headers">,
  { connections, seconds }: { connections: number; seconds: number },
): Promise<{ requestsPerSecond: number; p50Ms: number; p99Ms: number }> {
  const fields = Object.entries(headers).flatMap(([name, value]) => ["-H", `${name}: ${value}`]);
  const args = ["-t1", `-c${connections}`, `-d${seconds}s`, "--latency", ...fields, `${base}${path}`];
  const { stdout } = await promisify(execFile)("wrk", args);
  const problem = /^\s*(Non-2xx.*|Socket errors.*)$/m.exec(stdout)?.[1];
  if (problem !== undefined) throw new Error(`GET ${base}${path}: ${problem}`);
  const requestsPerSecond = Number(/^Requests\/sec:\s+([\d.]+)$/m.exec(stdout)?.[1]);
  return { requestsPerSecond, p50Ms: latency(stdout, "50"), p99Ms: latency(stdout, "99") };
}
