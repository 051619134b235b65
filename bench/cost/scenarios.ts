/**
 * What clients do, as requests of the table of operations.
 *
 * A pull is as docker and containerd do it: a challenge, the tag, the manifest by its digest, the config, the layers.
 */
import { type Calls, type OperationName, operations } from "./operations.ts";
import type { Needs } from "./prices.ts";

const content: OperationName[] = [
  "pull a manifest by digest",
  "pull a config",
  ...Array<OperationName>(5).fill("pull a layer"),
];

/** The requests of a pull of an image with five layers, `/token` apart. */
export const pullRequests: Record<"tag" | "digest", readonly OperationName[]> = {
  tag: ["be challenged", "resolve a tag", ...content],
  digest: ["be challenged", ...content],
};

/** A pull whose requests all come to one isolate: test/costs/ holds these calls against the running Worker. */
export type Pull = { does: string; by: "tag" | "digest"; isolate: "cold" | "warm"; calls: Calls };

/** Pulls of an image with five layers. A warm isolate has served the same image before. */
export const pulls: readonly Pull[] = [
  {
    does: "by tag, in an isolate that has seen nothing",
    by: "tag",
    isolate: "cold",
    calls: { "LEDGERS.resolveTags": 1, "MANIFESTS.get": 1, "BLOBS.get": 6 },
  },
  {
    does: "by tag, in an isolate that has served it",
    by: "tag",
    isolate: "warm",
    calls: { "LEDGERS.resolveTags": 1, "BLOBS.get": 5 },
  },
  {
    does: "by digest, in an isolate that has seen nothing",
    by: "digest",
    isolate: "cold",
    calls: { "MANIFESTS.get": 1, "BLOBS.get": 6 },
  },
  {
    does: "by digest, in an isolate that has served it",
    by: "digest",
    isolate: "warm",
    calls: { "BLOBS.get": 5 },
  },
];

/** Something that is done a million times. */
export type Scenario = Needs & { does: string };

function add(into: Record<string, number>, calls: Calls): void {
  for (const [call, times] of Object.entries(calls)) into[call] = (into[call] ?? 0) + times;
}

/** Requests one after the other, each as it is in such an isolate. */
function sequence(
  does: string,
  isolate: "cold" | "warm",
  names: readonly OperationName[],
  more: Calls = {},
): Scenario {
  const calls: Record<string, number> = {};
  let rowsWritten = 0;
  for (const name of names) {
    add(calls, operations[name][isolate]);
    rowsWritten += operations[name].rowsWritten;
  }
  add(calls, more);
  return { does, requests: names.length, calls, rowsWritten };
}

/** Pulls as clients do them, and the worst that can become of one. */
export function pullScenarios(): Scenario[] {
  const inOneIsolate = pulls.map(({ does, by, calls }): Scenario => {
    return { does, requests: pullRequests[by].length, calls, rowsWritten: 0 };
  });
  const [byTag] = inOneIsolate;
  if (byTag === undefined) throw new Error("there is a pull by tag");
  const index: Scenario = {
    ...byTag,
    does: "by tag through an index of several platforms, in an isolate that has seen nothing",
    requests: byTag.requests + 1,
    calls: { ...byTag.calls, "MANIFESTS.get": 2 },
  };
  const firstCalls: Record<string, number> = {};
  for (const calls of [byTag.calls, tellUse.calls]) add(firstCalls, calls);
  const first: Scenario = {
    ...byTag,
    does: "by tag, in an isolate that has seen nothing, the first use of the repository on a day",
    calls: firstCalls,
    rowsWritten: tellUse.rowsWritten,
  };
  const { tag } = pullRequests;
  // All but the challenge show a token, for which such an isolate has to read the keys.
  const keys = { "CATALOG.signingKeys": tag.length - 1 };
  const worst = sequence("by tag, the worst: each request in an isolate of its own", "cold", tag, keys);
  return [...inOneIsolate.slice(0, 1), index, first, ...inOneIsolate.slice(1), worst];
}

/**
 * What an isolate does at its first use of a tag on a day, and what the ledger does if that is the first of all: it
 * stores the day for the tag, the manifest and the repository, and tells the catalog.
 */
export const tellUse = { calls: { "LEDGERS.recordUses": 1, "CATALOG.putRepository": 1 }, rowsWritten: 4 };

function timesSix(...names: OperationName[]): OperationName[] {
  return Array.from({ length: 6 }, () => names).flat();
}

const missing = "look for a blob that is not there, to push";
const manifest = "push the manifest of five new layers with a tag";

/**
 * What a ledger does once in `EVENT_QUIET` in which something happens, where nobody listens: it asks; and where nothing
 * announced what happens, it keeps the event until it is answered.
 */
export const askWhoListens = { calls: { "WEBHOOKS.accept": 1 }, rowsWritten: 6 };

/** A push, in which the ledger asks once who listens. */
function push(does: string, names: readonly OperationName[]): Scenario {
  const scenario = sequence(does, "warm", names, askWhoListens.calls);
  return { ...scenario, rowsWritten: scenario.rowsWritten + askWhoListens.rowsWritten };
}

/** Pushes of a config and five layers, by clients of several kinds. */
export function pushScenarios(): Scenario[] {
  const small = timesSix(
    missing,
    "open an upload",
    "send the first chunk, of less than a part",
    "close an upload of less than a part",
  );
  const large = timesSix(missing, "open an upload", "send 6 MiB as one chunk", "close an upload of 6 MiB");
  const whole = timesSix(missing, "open an upload", "push a blob with POST and PUT");
  const known = timesSix("look whether a blob is there, to push");
  return [
    push("by containerd or BuildKit: each blob with one PUT", [...whole, manifest]),
    push("by docker, each layer less than a part", [...small, manifest]),
    push("by docker, each layer of 6 MiB", [...large, manifest]),
    push("of what is there already", [...known, "push a manifest again"]),
  ];
}
