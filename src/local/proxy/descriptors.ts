/** How many connections the limit of file descriptors allows. */
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";

/** More connections than this do not make a registry faster, and each takes memory here and in workerd. */
const mostConnections = 8192;
/** For files, the services of this process and connections that are only there to be refused. */
const reserved = 256;

/** How many file descriptors this process may have; `undefined` if there is no limit, or it is unknown. */
function descriptorLimit(): number | undefined {
  const limit = Number(/^Max open files\s+(\S+)/m.exec(ownLimits())?.[1] ?? shellLimit());
  return Number.isInteger(limit) ? limit : undefined;
}

/** proc(5). It may not exist, and Deno lets only programs with all permissions read it. */
function ownLimits(): string {
  try {
    return readFileSync("/proc/self/limits", "utf8");
  } catch {
    return "";
  }
}

/** A shell inherits the limit of the process that starts it. */
function shellLimit(): string | undefined {
  try {
    return execFileSync("sh", ["-c", "ulimit -n"], { encoding: "utf8" });
  } catch {
    return undefined;
  }
}

/**
 * Each connection may need another one to workerd, and that a third one to the fsync service, while workerd, under the same
 * limit, has both and a file open; or it needs a file. Of a low limit, half is left for the rest.
 */
export function connectionCap(limit: number | undefined = descriptorLimit()): number {
  if (limit === undefined) return mostConnections;
  return Math.max(1, Math.min(mostConnections, Math.floor((limit - Math.min(reserved, limit / 2)) / 4)));
}
