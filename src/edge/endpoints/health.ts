/** `/healthz`: whether the Worker runs; `/readyz`: whether all that it needs answers. Open to everybody. */
import { checkHealth } from "../../registry/health.ts";
import { version } from "../../version.ts";
import { type Answer, type Context, jsonReply } from "../context.ts";

/** Says that it runs, and which release; asks nothing. */
export async function healthz(): Promise<Answer> {
  return jsonReply({ status: "ok", version });
}

/** Says of each part whether it answers, and in what time; 503 if one does not. */
export async function readyz({ registry }: Pick<Context, "registry">): Promise<Answer> {
  const [checks, disk] = await Promise.all([checkHealth(registry), registry.space?.state()]);
  const isReady = checks.every(({ ok }) => ok);
  // With a disk that is full all but pushes goes on, so that this is no reason to send nothing here.
  const storage = disk === undefined ? undefined : disk.isLow ? "low" : "ok";
  return {
    ...jsonReply({ status: isReady ? "ok" : "unavailable", storage, checks }),
    status: isReady ? 200 : 503,
  };
}
