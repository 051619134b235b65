/** docs/cost.md, from the table of operations and the prices. */
import { type CachedPullCost, cachedPulls } from "./caching.ts";
import { type Calls, type OperationCost, operations } from "./operations.ts";
import { assumed, billFor, perMillion, total } from "./prices.ts";
import { pullScenarios, pushScenarios, type Scenario } from "./scenarios.ts";

function dollars(amount: number): string {
  return amount === 0 ? "" : amount.toFixed(2);
}

function times(calls: Calls, matches: (call: string) => boolean): number {
  return Object.entries(calls).reduce((sum, [call, count]) => sum + (matches(call) ? count : 0), 0);
}

function scenarioRow(scenario: Scenario): string {
  const { does, requests, calls, rowsWritten } = scenario;
  const bill = billFor(scenario);
  const kv = times(calls, (call) => call.startsWith("MANIFESTS."));
  const r2 = times(calls, (call) => call.startsWith("BLOBS."));
  const objects = times(calls, (call) => !/^(MANIFESTS|BLOBS)\./.test(call));
  const counts = [requests, kv, r2, objects, rowsWritten].map((count) => String(count || ""));
  const paid = [bill.worker, bill.kv, bill.r2, bill.objects, bill.rows].map(dollars);
  const cells = counts.map((count, index) => (count === "" ? "" : `${count}: ${paid[index]}`));
  return `| ${does} | ${cells.join(" | ")} | **${total(bill).toFixed(2)}** |`;
}

function scenarioTable(scenarios: Scenario[]): string {
  return [
    "| | Worker requests | KV | R2 | objects | rows written | dollars a million |",
    "| --- | --- | --- | --- | --- | --- | ---: |",
    ...scenarios.map(scenarioRow),
  ].join("\n");
}

function describeCalls(calls: Calls): string {
  const entries = Object.entries(calls);
  if (entries.length === 0) return "–";
  return entries.map(([call, count]) => (count === 1 ? `\`${call}\`` : `${count} × \`${call}\``)).join(", ");
}

function operationTable(): string {
  const rows = Object.entries(operations).map(([name, cost]: [string, OperationCost]) => {
    const { route, method, cold, warm, rowsWritten } = cost;
    const cells = [
      name,
      `${method} ${route}`,
      describeCalls(cold),
      describeCalls(warm),
      String(rowsWritten || ""),
    ];
    const price = (calls: Calls) => total(billFor({ requests: 1, calls, rowsWritten })).toFixed(2);
    return `| ${cells.join(" | ")} | ${price(cold)} | ${price(warm)} |`;
  });
  return [
    "| request | method and route | calls, cold | calls, warm | rows | $ cold | $ warm |",
    "| --- | --- | --- | --- | ---: | ---: | ---: |",
    ...rows,
  ].join("\n");
}

function cachedPullTable(): string {
  const rows = Object.values(cachedPulls).map(({ does, asked, calls, rowsWritten }: CachedPullCost) => {
    const price = total(billFor({ requests: 1, calls, rowsWritten })).toFixed(2);
    return `| ${does} | ${asked} | ${describeCalls(calls)} | ${rowsWritten || ""} | ${price} |`;
  });
  return [
    "| request | the upstream is asked by | calls | rows | $ |",
    "| --- | --- | --- | ---: | ---: |",
    ...rows,
  ].join("\n");
}

/** The whole page. */
export function costDocument(): string {
  return `# What it costs on Cloudflare

<!-- Written by \`npm run cost\`. Do not edit: a test compares. -->

Dollars for a million of each, beyond what the paid plan includes, at the prices of November 2026: a million Worker requests ${perMillion.workerRequest}, of CPU milliseconds ${perMillion.cpuMillisecond}; KV reads ${perMillion.kvRead}, writes and deletes ${perMillion.kvWrite}; R2 reads (class B) ${perMillion.r2Read}, writes (class A) ${perMillion.r2Write}; calls of Durable Objects ${perMillion.objectRequest}, rows that they write ${perMillion.rowWritten}. Egress is free. The counts are exact: \`test/costs/\` holds them against the running Worker. Time is assumed: ${assumed.cpuMillisecondsPerRequest} ms of CPU a request, ${assumed.objectMillisecondsPerCall} ms of an object's memory a call.

## A million pulls of an image with five layers

A challenge, the tag, the manifest, the config, five layers. Before it the client gets a token, which is an entry of the last table. An isolate is one process at one location, which serves many clients; what it has seen it keeps for 30 seconds, and bytes as long as there is room.

${scenarioTable(pullScenarios())}

## A million pushes of a config and five layers

Each blob is looked for, not found, and pushed; then the manifest, with a tag. Once in a push the ledger asks who listens to events; where somebody does, each event is a row or two of the ledger, of \`Webhooks\` and of the queue. The first push to a name costs two calls more: the name is registered, and the write that found no ledger is repeated. All other pushes, and \`POST uploads/\` always, cost nothing for that.

${scenarioTable(pushScenarios())}

Most of it are rows: what is to be done about an upload or a blob is written down before it is done. They are counted as they are billed: with those of indexes and of new tables, and one for each alarm that is set. Storage itself is ${"$0.015"} a GB and month.

## Pulls through the cache of an upstream

In an isolate that has served the repository before, with a token of the upstream that is known. What is here by its digest costs what any pull does, and a repository that is not cached costs nothing more for \`UPSTREAMS\`. While a layer is fetched, its object is paid for by time: $${(perMillion.objectGigabyteSecond * assumed.objectGigabytes).toFixed(2)} for a million seconds. Parts are of \`UPLOAD_PART_SIZE\`.

${cachedPullTable()}

## What lists show

Kind, size, platforms and pusher are columns of a manifest's row, and the day of last use is one of the rows of manifests and tags: a push writes no row more for them. A use costs what the row "the first use of the repository on a day" says beyond its neighbour; a further isolate on the same day costs a call and no row. A page of tags or manifests is one call (\`LEDGERS.describeTags\`, \`LEDGERS.listManifests\`). The first that shows an image whose platform only the config says reads that config (at most 100 a page, each a read of R2 and a look-up of its location), and stores what it says: one call (\`LEDGERS.addConfigFacts\`), and a row for each.

What repositories hold (\`/api/v1/usage\`) is in what their ledgers announce for the search anyway, once for each burst of changes: so it costs a push nothing more. A request of usage makes one call of \`SEARCH\` for a page of repositories, and for the total one more, one of \`CATALOG\` and one of each shard that has rows (256 at most), however many repositories there are. \`/metrics\` asks once a minute at most.

## Every request

Cold: in an isolate that has seen nothing. Warm: in one that has served the same before. Not in it: an isolate that sees its first bearer token asks for the keys that verify (\`CATALOG.signingKeys\`), and reports what it counted every 30 seconds at most (\`CATALOG.addCounts\`). Once a day it tells a ledger of each manifest and each tag that is used (\`LEDGERS.recordUses\`, after the answer): a call, and a row for each whose day is not stored yet. A bearer token says which of its repositories were registered in the index of names when it was issued; who comes with another credential, or with a token from before the first push, costs one \`NAME_INDEX.has\` more in an isolate that has not asked for ten minutes. What alarms do later is not in it either: they repeat deletes in KV, and collect what nothing references.

${operationTable()}
`;
}
