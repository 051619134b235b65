import assert from "node:assert/strict";
import test from "node:test";
import { Meter, type Report } from "../../src/metrics/meter.ts";

const everyMs = 30_000;
const start = 1_000_000;

const countDeletion = (meter: Meter) => meter.add("stowage_deletions_total", ["tag", "asked for"]);

test("pulls are reported every so often, and what is rare at once", () => {
  const meter = new Meter();
  assert(!meter.isReportDue(start, everyMs), "nothing was counted");
  meter.addPull("team/app", "v1");
  meter.addPull("team/app", "v1", 2);
  assert(meter.isReportDue(start, everyMs));
  assert.deepEqual(takeSome(meter).pulls, [{ repository: "team/app", tag: "v1", pulls: 3 }]);
  meter.addPull("team/app", "v1");
  assert(!meter.isReportDue(start + everyMs - 1, everyMs));
  assert(meter.isReportDue(start + everyMs, everyMs));
  countDeletion(meter);
  assert(meter.isReportDue(start + 1, everyMs));
});

/** Takes the one report that there is. */
function takeSome(meter: Meter, now = start): Report {
  const [report, ...others] = meter.take(now);
  assert(report !== undefined && others.length === 0);
  return report;
}

test("what may not have arrived is reported again as it was, before what comes after it, and waits its time", () => {
  const meter = new Meter();
  countDeletion(meter);
  const lost = takeSome(meter);
  countDeletion(meter);
  meter.untake([lost]);
  assert(!meter.isReportDue(start + 1, everyMs), "a catalog that fails is not asked at once again");
  assert(meter.isReportDue(start + everyMs, everyMs));
  const [again, next, ...others] = meter.take(start + everyMs);
  assert.deepEqual([again, others], [lost, []]);
  assert.notEqual(next?.id, lost.id);
  assert.deepEqual(
    next?.counters.map(({ value }) => value),
    [1],
  );
  assert.deepEqual(meter.take(start + everyMs), []);
  countDeletion(meter);
  assert(meter.isReportDue(start + everyMs, everyMs));
});

test("an upload is told of only if it lasts, and then its end at once", () => {
  const meter = new Meter();
  const { uploads } = meter;
  uploads.opened("short", start);
  uploads.ended("short");
  assert.deepEqual(meter.take(start), []);
  uploads.opened("long", start);
  assert(!meter.isReportDue(start + 1, everyMs));
  assert.deepEqual(takeSome(meter, start + everyMs).uploads, [{ id: "long", isOpen: true }]);
  uploads.opened("long", start + everyMs);
  uploads.ended("long");
  assert(meter.isReportDue(start + everyMs, everyMs));
  assert.deepEqual(takeSome(meter, start + everyMs).uploads, [{ id: "long", isOpen: false }]);
});

test("newer news of an upload comes after what could not be reported", () => {
  const meter = new Meter();
  meter.uploads.opened("one", start);
  const lost = takeSome(meter);
  meter.uploads.ended("one");
  meter.untake([lost]);
  assert.deepEqual(
    meter.take(start).flatMap(({ uploads }) => uploads),
    [
      { id: "one", isOpen: true },
      { id: "one", isOpen: false },
    ],
  );
});

test("a report that is due tells of no upload that has just begun", () => {
  const meter = new Meter();
  const now = start + everyMs;
  meter.uploads.opened("young", now - 1);
  assert(!meter.isReportDue(now, everyMs));
  countDeletion(meter);
  const [report] = meter.take(now, everyMs);
  assert.deepEqual(report?.uploads, []);
  assert(!meter.isReportDue(now + everyMs - 2, everyMs));
  assert(meter.isReportDue(now + everyMs, everyMs));
  assert.deepEqual(takeSome(meter, now + everyMs).uploads, [{ id: "young", isOpen: true }]);
});
