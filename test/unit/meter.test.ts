import assert from "node:assert/strict";
import test from "node:test";
import { Meter } from "../../src/metrics/meter.ts";

const everyMs = 30_000;
const start = 1_000_000;

const countDeletion = (meter: Meter) => meter.add("stowage_deletions_total", ["tag", "asked for"]);

test("pulls are reported every so often, and what is rare at once", () => {
  const meter = new Meter();
  assert(!meter.isReportDue(start, everyMs), "nothing was counted");
  meter.addPull("team/app", "v1");
  meter.addPull("team/app", "v1", 2);
  assert(meter.isReportDue(start, everyMs));
  assert.deepEqual(meter.take(start).pulls, [{ repository: "team/app", tag: "v1", pulls: 3 }]);
  meter.addPull("team/app", "v1");
  assert(!meter.isReportDue(start + everyMs - 1, everyMs));
  assert(meter.isReportDue(start + everyMs, everyMs));
  countDeletion(meter);
  assert(meter.isReportDue(start + 1, everyMs));
});

test("what could not be reported is counted with what comes after it, and waits its time", () => {
  const meter = new Meter();
  countDeletion(meter);
  const lost = meter.take(start);
  countDeletion(meter);
  meter.untake(lost);
  assert(!meter.isReportDue(start + 1, everyMs), "a catalog that fails is not asked at once again");
  assert(meter.isReportDue(start + everyMs, everyMs));
  const [sample, ...others] = meter.take(start + everyMs).counters;
  assert.deepEqual([sample?.value, others], [2, []]);
  countDeletion(meter);
  assert(meter.isReportDue(start + everyMs, everyMs));
});

test("an upload is told of only if it lasts, and then its end at once", () => {
  const meter = new Meter();
  const { uploads } = meter;
  uploads.opened("short");
  uploads.ended("short");
  assert.deepEqual(meter.take(start).uploads, []);
  uploads.opened("long");
  assert(!meter.isReportDue(start + 1, everyMs));
  assert.deepEqual(meter.take(start + everyMs).uploads, [{ id: "long", isOpen: true }]);
  uploads.opened("long");
  uploads.ended("long");
  assert(meter.isReportDue(start + everyMs, everyMs));
  assert.deepEqual(meter.take(start + everyMs).uploads, [{ id: "long", isOpen: false }]);
});

test("news of an upload that could not be reported gives way to newer ones", () => {
  const meter = new Meter();
  meter.uploads.opened("one");
  meter.uploads.opened("two");
  const lost = meter.take(start);
  meter.uploads.ended("one");
  meter.untake(lost);
  assert.deepEqual(
    meter.take(start).uploads.toSorted((a, b) => a.id.localeCompare(b.id)),
    [
      { id: "one", isOpen: false },
      { id: "two", isOpen: true },
    ],
  );
});
