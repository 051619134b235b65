/**
 * What Cloudflare asks for, in dollars, on the paid plan and beyond what it includes. Source: the pricing pages of
 * Workers, Workers KV, R2 and Durable Objects, 21 November 2026.
 */
import type { Calls } from "./operations.ts";

/** Dollars for a million of each. */
export const perMillion = {
  workerRequest: 0.3,
  cpuMillisecond: 0.02,
  kvRead: 0.5,
  kvWrite: 5,
  r2Write: 4.5,
  r2Read: 0.36,
  objectRequest: 0.15,
  objectGigabyteSecond: 12.5,
  rowWritten: 1,
} as const;

/** What is taken for granted where nothing is counted: time. Of CPU the Worker takes a tenth of this on one machine. */
export const assumed = {
  cpuMillisecondsPerRequest: 3,
  objectMillisecondsPerCall: 10,
  objectGigabytes: 0.128,
};

/** Dollars for doing something a million times, by what they are paid for. */
export type Bill = { worker: number; kv: number; r2: number; objects: number; rows: number };

const r2Reads = new Set(["get", "head"]);
const freeInR2 = new Set(["delete", "abort"]);

/** The bill for a million times these requests, calls and rows. */
export function billFor({ requests, calls, rowsWritten }: Needs): Bill {
  const bill: Bill = {
    worker:
      requests * (perMillion.workerRequest + assumed.cpuMillisecondsPerRequest * perMillion.cpuMillisecond),
    kv: 0,
    r2: 0,
    objects: 0,
    rows: rowsWritten * perMillion.rowWritten,
  };
  const secondsPerCall = assumed.objectMillisecondsPerCall / 1000;
  const objectCall =
    perMillion.objectRequest + secondsPerCall * assumed.objectGigabytes * perMillion.objectGigabyteSecond;
  for (const [call, times] of Object.entries(calls)) {
    const [binding, method = ""] = call.split(".");
    if (binding === "MANIFESTS")
      bill.kv += times * (method === "get" ? perMillion.kvRead : perMillion.kvWrite);
    else if (binding !== "BLOBS") bill.objects += times * objectCall;
    else if (!freeInR2.has(method)) {
      bill.r2 += times * (r2Reads.has(method) ? perMillion.r2Read : perMillion.r2Write);
    }
  }
  return bill;
}

/** What is paid for. */
export type Needs = { requests: number; calls: Calls; rowsWritten: number };

/** The sum of a bill. */
export function total(bill: Bill): number {
  return Object.values(bill).reduce((sum, part) => sum + part, 0);
}
