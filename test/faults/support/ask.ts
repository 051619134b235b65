/** Asking, and asking again. */
import type { Caller, Reply } from "./location.ts";
import type { FaultTarget, LocationIndex } from "./program.ts";
import type { Run } from "./run.ts";

/** Asks; where that was refused for a fault, once more while nothing goes wrong. `faults`: of the answer. */
export async function ask(
  run: Run,
  at: LocationIndex,
  method: "GET" | "HEAD",
  path: string,
  as: Caller,
): Promise<{ reply: Reply; faults: FaultTarget[] }> {
  const send = () => run.clients.send(at, method, path, { as });
  const { result: reply, faults } = await run.counting(send);
  if (reply.status < 500) return { reply, faults };
  run.requireExcused(reply, faults, `${method} ${path}`);
  return { reply: await run.world.faults.suspended(send), faults: [] };
}
