/** The management API's upkeep, as tests call it: each call goes on from cursor to cursor, to the end. */
import assert from "node:assert/strict";
import type { Freed } from "../../src/contract/gc.ts";
import type { ScrubReport } from "../../src/contract/scrub.ts";
import type { UsagePage } from "../../src/contract/usage.ts";
import type { Client } from "./client.ts";

export type Scrubbed = Omit<ScrubReport, "cursor">;
/** The first page of the usage, which has the total. */
export type Usage = UsagePage & { total: NonNullable<UsagePage["total"]> };

/** A request works for 15 seconds by itself, and ends what it has begun. */
const timeoutMs = 60_000;

/** Posts until there is no cursor any more; returns all answers. */
async function postAll<T extends { cursor?: string }>(
  client: Client,
  path: string,
  fields?: object,
): Promise<T[]> {
  const answers: T[] = [];
  let body = fields === undefined ? "" : JSON.stringify(fields);
  for (let round = 0; round < 100; round++) {
    const answer = (await client.must(200, "POST", `/api/v1/${path}`, { body, timeoutMs })).json<T>();
    answers.push(answer);
    if (answer.cursor === undefined) return answers;
    body = JSON.stringify({ ...fields, cursor: answer.cursor });
  }
  return assert.fail(`${path} comes to no end`);
}

/** Collects; returns what that freed. */
export async function gc(client: Client): Promise<Freed> {
  const answers = await postAll<{ freed: Freed; cursor?: string }>(client, "gc");
  return addFreed(answers.map(({ freed }) => freed));
}

/** Collects all that is deleted or unreferenced; `keptForSeconds`: how long some of it stays. */
export async function gcNow(client: Client): Promise<{ freed: Freed; keptForSeconds: number }> {
  const fields = { now: true };
  const answers = await postAll<{ freed: Freed; keptForSeconds: number; cursor?: string }>(
    client,
    "gc",
    fields,
  );
  return {
    freed: addFreed(answers.map(({ freed }) => freed)),
    keptForSeconds: Math.max(...answers.map((answer) => answer.keptForSeconds)),
  };
}

/** The sum of what several requests freed. */
function addFreed(parts: readonly Freed[]): Freed {
  const sum: Freed = { manifests: 0, links: 0, blobs: 0, bytes: 0, uploads: 0 };
  for (const freed of parts) {
    for (const name of Object.keys(sum) as (keyof Freed)[]) sum[name] += freed[name];
  }
  return sum;
}

/** Scrubs; returns what that found. */
export async function scrub(client: Client): Promise<Scrubbed> {
  const parts = await postAll<Scrubbed & { cursor?: string }>(client, "scrub");
  const checked = { blobs: 0, bytes: 0, links: 0, manifests: 0, tags: 0, keys: 0 };
  for (const part of parts) {
    for (const name of Object.keys(checked) as (keyof typeof checked)[]) checked[name] += part.checked[name];
  }
  return {
    checked,
    repaired: parts.flatMap((part) => part.repaired),
    problems: parts.flatMap((part) => part.problems),
    refused: parts.flatMap((part) => part.refused),
    unchecked: parts.flatMap((part) => part.unchecked),
  };
}

/** Rebuilds the replica; the ledgers then write it by their alarms. */
export async function rebuild(client: Client): Promise<{ repositories: number; removed: number }> {
  const parts = await postAll<{ repositories: number; removed: number; cursor?: string }>(
    client,
    "replica/rebuild",
  );
  return {
    repositories: parts.reduce((sum, part) => sum + part.repositories, 0),
    removed: parts.reduce((sum, part) => sum + part.removed, 0),
  };
}

/** What there is. */
export async function usage(client: Client): Promise<Usage> {
  return (await client.must(200, "GET", "/api/v1/usage")).json();
}
