/** Random faults. */
import fc from "fast-check";
import type { Fault, FaultEffect, FaultTarget } from "./program.ts";

const objectEffects: FaultEffect[] = [
  "fail",
  "lost",
  "overloaded",
  "evict",
  "cut",
  "evict after",
  "slow",
  "slow answer",
  "stall",
  "time out",
];
const storeEffects: FaultEffect[] = ["fail", "lost", "late", "slow", "slow answer", "stall", "time out"];

function effectsOf(target: FaultTarget): FaultEffect[] {
  return target.startsWith("r2.") || target.startsWith("kv.") ? storeEffects : objectEffects;
}

/** A fault of one of these targets. */
export function faultOf(targets: FaultTarget[]): fc.Arbitrary<Fault> {
  return fc.constantFrom(...targets).chain((chosen) =>
    fc.record({
      target: fc.constant(chosen),
      effect: fc.constantFrom(...effectsOf(chosen)),
      skip: fc.constantFrom(0, 0, 0, 1, 2, 4),
      // One is hidden by the registry's own second try, two are not, many are an outage.
      times: fc.constantFrom(1, 2, 2, 6),
    }),
  );
}

/** What fails by itself, whoever calls it: reads, and what alarms do. */
export const anyFault = faultOf([
  "LEDGERS",
  "BLOB_SHARDS",
  "NAME_INDEX",
  "kv.get",
  "kv.list",
  "kv.put",
  "kv.delete",
  "r2.get",
  "r2.list",
  "r2.delete",
  "r2.abort",
]);
