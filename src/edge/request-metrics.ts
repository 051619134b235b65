/**
 * What is counted of every request: in the isolate's meter, and in the platform's Analytics Engine where it is bound.
 */
import type { Env } from "../bindings.ts";
import { meter } from "../metrics/meter.ts";
import { cut } from "./cut.ts";
import type { RequestRecord } from "./request-log.ts";

const knownMethods = new Set(["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]);

/** Counts a request that was answered. */
export function countRequest(env: Env, record: RequestRecord): void {
  const { route, status, params, account, error, milliseconds, bytesIn, bytesOut } = record;
  // A method is the client's word: made-up ones must not make series without end.
  const method = knownMethods.has(record.method) ? record.method : "other";
  meter.add("stowage_requests_total", [route, method, String(status)]);
  if (bytesIn > 0) meter.add("stowage_request_bytes_total", [route], bytesIn);
  if (bytesOut > 0) meter.add("stowage_response_bytes_total", [route], bytesOut);
  meter.observe("stowage_request_duration_seconds", [route, method], milliseconds / 1000);
  // A point takes 16 KB, and what a client names need not be a name.
  const repository = cut(params.name ?? "", 300);
  env.ANALYTICS?.writeDataPoint({
    indexes: [repository.slice(0, 96)],
    blobs: [route, method, String(status), repository, account ?? "", error ?? ""],
    doubles: [milliseconds, bytesIn, bytesOut],
  });
}
