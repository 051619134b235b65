import assert from "node:assert/strict";
import test from "node:test";
import { type OperationCost, type OperationName, operations } from "../../bench/cost/operations.ts";
import { askWhoListens, pullRequests, pulls, tellUse } from "../../bench/cost/scenarios.ts";
import { routes } from "../../src/edge/routes.ts";
import type { Calls } from "../support/call-counter.ts";
import { requests } from "./requests.ts";
import { startWorld } from "./world.ts";

const world = await startWorld();
const table: [string, OperationCost][] = Object.entries(operations);

/**
 * Calls that are not of one request: an isolate reports every 30 seconds at most, reads the policies once in 50
 * seconds if it writes, asks once a minute who listens to
 * pulls, tells once a day what is used, all after its answer, and verifies tokens with keys.
 */
function apart(calls: Calls, ...others: string[]): Calls {
  const left = [
    "CATALOG.addCounts",
    "CATALOG.policies",
    "SEARCH.addPulls",
    "WEBHOOKS.pullPatterns",
    ...Object.keys(tellUse.calls),
    ...others,
  ];
  return Object.fromEntries(Object.entries(calls).filter(([call]) => !left.includes(call)));
}

for (const [name, cost] of table) {
  test(`it costs what is written to ${name}, in a cold isolate and in a warm one`, async () => {
    const isShown = cost.route !== "token" && cost.route !== "jwks";
    for (const isolate of ["cold", "warm"] as const) {
      const request = await requests[name as OperationName](world);
      const { calls, rowsWritten, writings } = await world.spend(isolate === "cold", request);
      assert.deepEqual(apart(calls, ...(isShown ? ["CATALOG.signingKeys"] : [])), cost[isolate], isolate);
      const isReporting = ["CATALOG.addCounts", "LEDGERS.recordUses"].some(
        (call) => calls[call] !== undefined,
      );
      if (!isReporting) {
        assert(rowsWritten <= cost.rowsWritten, `written, ${isolate}: ${JSON.stringify(writings)}`);
      }
    }
  });
}

test("an isolate reads the keys that verify tokens once", async () => {
  const ask = await requests["ask whether this is a registry"](world);
  assert.deepEqual((await world.spend(true, ask)).calls, { "CATALOG.signingKeys": 1 });
  assert.deepEqual((await world.spend(false, ask)).calls, {});
});

test("the first use of a tag on a day costs what is written, and further ones of that day nothing", async () => {
  const fresh = await startWorld();
  const use = await requests["resolve a tag"](fresh);
  const first = await fresh.spend(true, use);
  const spent = (calls: Calls) =>
    Object.fromEntries(Object.keys(tellUse.calls).map((call) => [call, calls[call] ?? 0]));
  assert.deepEqual(spent(first.calls), tellUse.calls);
  assert(first.rowsWritten <= tellUse.rowsWritten, `${first.rowsWritten} rows`);
  const again = await fresh.spend(false, use);
  assert.deepEqual(
    [spent(again.calls), again.rowsWritten],
    [{ "LEDGERS.recordUses": 0, "CATALOG.putRepository": 0 }, 0],
  );
  const other = await fresh.spend(true, use);
  assert.deepEqual(
    [spent(other.calls), other.rowsWritten],
    [{ "LEDGERS.recordUses": 1, "CATALOG.putRepository": 0 }, 0],
  );
});

test("every method of every route that clients use is in the table", () => {
  const written = new Set(table.map(([, { route, method }]) => `${method} ${route}`));
  const served = routes
    .filter(({ path }) => path.startsWith("/v2/") || path === "/token" || path.startsWith("/.well-known/"))
    .flatMap(({ name, methods }) => Object.keys(methods).map((method) => `${method} ${name}`));
  assert.deepEqual(
    served.filter((each) => !written.has(each)),
    [],
  );
});

for (const { does, by, isolate, calls } of pulls) {
  test(`a pull of five layers ${does}, makes the calls that are written`, async () => {
    const sent = await Promise.all(pullRequests[by].map((name) => requests[name](world)));
    const pull = async () => {
      for (const send of sent) await send();
    };
    if (isolate === "warm") await pull();
    const spent = await world.spend(isolate === "cold", pull);
    assert.deepEqual(apart(spent.calls, "CATALOG.signingKeys"), calls);
  });
}

test("a ledger that is told of no quiet asks who listens, for as much as is written", async () => {
  const asking = await startWorld({ EVENT_QUIET: "0s" });
  const name = "push a blob with one POST";
  const { calls, rowsWritten } = await asking.spend(false, await requests[name](asking));
  const { "WEBHOOKS.accept": asked, ...others } = apart(calls);
  assert.deepEqual([others, { "WEBHOOKS.accept": asked }], [operations[name].warm, askWhoListens.calls]);
  assert(rowsWritten <= operations[name].rowsWritten + askWhoListens.rowsWritten, `${rowsWritten} rows`);
});

/** Tables that hold little, or are read as a whole because all of it is needed. */
const readWhole = [
  "sqlite_master",
  "schema_version",
  "meta",
  "signing_keys",
  "session",
  "parts",
  "tail",
  "kinds",
  "flights",
  "events",
  "webhooks",
  "generations",
  "search_announced",
  "later_data",
];

test("no statement of a route looks at more rows than it returns or changes", async () => {
  const statements = await world.statements();
  assert(statements.length > 50, "the statements were seen");
  const isScan = (step: string) =>
    /^SCAN (?!.*VIRTUAL TABLE)/.test(step) && !readWhole.includes(step.split(" ")[1] ?? "");
  // To sort before a limit is to read what is then left out.
  const isSortedPage = (step: string, text: string) =>
    step.includes("FOR ORDER BY") &&
    /\bLIMIT\b/.test(text) &&
    !readWhole.includes(/ FROM (\w+)/.exec(text)?.[1] ?? "");
  const wasteful = statements.flatMap(({ owner, text, plan }) =>
    plan
      .filter((step) => isScan(step) || isSortedPage(step, text))
      .map((step) => `${owner}: ${text.replace(/\s+/g, " ")}: ${step}`),
  );
  assert.deepEqual(wasteful, []);
});
