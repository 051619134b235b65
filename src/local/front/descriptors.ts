/** How many connections the limit of file descriptors leaves room for. */
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";

/** More connections than this do not make a registry faster, and each takes memory here and in workerd. */
const mostConnections = 8192;
/** For files, the services of this process and connections that are only there to be refused. */
const reserved = 256;

/** How many file descriptors this process may have; `undefined` where there is no limit, or it cannot be known. */
function descriptorLimit(): number | undefined {
  try {
    const text =
      process.platform === "linux"
        ? /^Max open files\s+(\S+)/m.exec(readFileSync("/proc/self/limits", "utf8"))?.[1]
        : execFileSync("sh", ["-c", "ulimit -n"], { encoding: "utf8" });
    const limit = Number(text);
    return Number.isInteger(limit) ? limit : undefined;
  } catch {
    return undefined;
  }
}

/** Each connection may need another one to workerd. Of a low limit, half is left for the rest. */
export function connectionCap(limit: number | undefined = descriptorLimit()): number {
  if (limit === undefined) return mostConnections;
  return Math.max(1, Math.min(mostConnections, Math.floor((limit - Math.min(reserved, limit / 2)) / 2)));
}
