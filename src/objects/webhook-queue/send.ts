/**
 * One try to send an event to a listener, and when a failed one is repeated.
 */
import { createHmac } from "node:crypto";
import type { RegistryEvent } from "../../oci/event.ts";
import { formatEvent } from "../../oci/event-format.ts";
import { targetProblem } from "../../oci/webhook-target.ts";
import type { Webhook } from "../../rpc/webhooks-api.ts";

/** How it is sent. `now` is in milliseconds since 1970. */
export type SendOptions = {
  fetcher: Pick<Fetcher, "fetch">;
  allowsPrivate: boolean;
  timeoutMs: number;
  now: number;
};

/** What came of it. Only an answer of 2xx is a delivery. */
export type Attempt = { isDelivered: boolean; status?: number; answer?: string; error?: string };

/** How much of an answer is read. */
const maxAnswerBytes = 1024;

/** Sends an event. Never throws. Redirects are not followed, and of the answer no more than its beginning is read. */
export async function sendEvent(
  webhook: Webhook,
  event: RegistryEvent,
  { fetcher, allowsPrivate, timeoutMs, now }: SendOptions,
): Promise<Attempt> {
  const problem = targetProblem(webhook.url, allowsPrivate);
  if (problem !== undefined) return { isDelivered: false, error: `the URL is ${problem}` };
  const { contentType, body } = formatEvent(event, webhook.format);
  try {
    const response = await fetcher.fetch(webhook.url, {
      method: "POST",
      headers: {
        ...webhook.headers,
        "Content-Type": contentType,
        "User-Agent": "Stowage-Webhook/1",
        "Stowage-Event": event.type,
        "Stowage-Event-Id": event.id,
        "Stowage-Signature": sign(webhook.secret, body, Math.floor(now / 1000)),
      },
      body,
      redirect: "manual",
      signal: AbortSignal.timeout(timeoutMs),
    });
    const { status } = response;
    const answer = await readBeginning(response.body);
    return { isDelivered: status >= 200 && status < 300, status, ...(answer === "" ? {} : { answer }) };
  } catch (error) {
    const isLate = error instanceof Error && error.name === "TimeoutError";
    // workerd's message for a name or a port at which nobody listens does not say that.
    const broke = `${new URL(webhook.url).host} cannot be reached, or broke the connection off`;
    return { isDelivered: false, error: isLate ? `no answer within ${timeoutMs} ms` : broke };
  }
}

/** The signature: HMAC with SHA-256 over the time, in seconds since 1970, a dot, and the body. */
function sign(secret: string, body: string, seconds: number): string {
  const mac = createHmac("sha256", secret).update(`${seconds}.${body}`).digest("hex");
  return `t=${seconds},v1=${mac}`;
}

async function readBeginning(body: ReadableStream<Uint8Array> | null): Promise<string> {
  if (body === null) return "";
  const reader = body.getReader();
  const decoder = new TextDecoder();
  let text = "";
  let readBytes = 0;
  while (readBytes < maxAnswerBytes) {
    const { done, value } = await reader.read();
    if (done) return text + decoder.decode();
    text += decoder.decode(value.subarray(0, maxAnswerBytes - readBytes), { stream: true });
    readBytes += value.byteLength;
  }
  await reader.cancel();
  return text;
}

/**
 * A failed event is sent again after a second, then after twice as long each time, up to an hour. The waits add up to a
 * day. Tries are counted, not timed, so that a registry that was off for a weekend gives nothing up.
 */
const firstWaitMs = 1_000;
const longestWaitMs = 3_600_000;

/** How often an event is tried before it is given up. */
export const maxAttempts = 36;

/** How long to wait after an event has failed this often (at least once); `undefined` if it is given up. */
export function waitMs(attempts: number): number | undefined {
  return attempts >= maxAttempts ? undefined : Math.min(firstWaitMs * 2 ** (attempts - 1), longestWaitMs);
}
