/** Asking, and asking again. */
import type { Caller, Reply } from "./location.ts";
import type { FaultTarget, LocationIndex } from "./program.ts";
import type { Run } from "./run.ts";

/**
 * Asks; where that was refused for a fault, once more while nothing goes wrong. `faults`: of the answer. `askedAt`: when
 * what was answered was asked for, which a stall on the way back may put long before now.
 */
export async function ask(
  run: Run,
  at: LocationIndex,
  method: "GET" | "HEAD",
  path: string,
  as: Caller,
): Promise<{ reply: Reply; faults: FaultTarget[]; askedAt: number }> {
  const send = async () => ({ askedAt: Date.now(), reply: await run.clients.send(at, method, path, { as }) });
  const { result, faults } = await run.counting(send);
  if (result.reply.status < 500) return { ...result, faults };
  run.requireExcused(result.reply, faults, `${method} ${path}`);
  return { ...(await run.world.faults.suspended(send)), faults: [] };
}
