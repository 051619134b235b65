import assert from "node:assert/strict";
import test, { type TestContext } from "node:test";
import { type LogFormat, type LogLevel, log, setLogFormat } from "../../src/log.ts";
import { afterTest } from "../support/ends.ts";

type Written = { to: "log" | "warn" | "error"; line: string };

function written(
  t: TestContext,
  format: LogFormat,
  level: LogLevel,
  event: string,
  facts?: object,
): Written[] {
  const lines: Written[] = [];
  for (const to of ["log", "warn", "error"] as const) {
    t.mock.method(console, to, (line: string) => lines.push({ to, line }));
  }
  setLogFormat(format);
  afterTest(t, () => setLogFormat("json"));
  log(level, event, facts);
  return lines;
}

test("an event is a line of JSON with its time, on the stream of its level", (t) => {
  for (const [level, to] of [
    ["info", "log"],
    ["warn", "warn"],
    ["error", "error"],
  ] as const) {
    const [only, ...more] = written(t, "json", level, "job failed", { kind: "drop", error: undefined });
    assert.equal(more.length, 0);
    assert.equal(only?.to, to);
    const { time, ...fields } = JSON.parse(only?.line ?? "");
    assert.equal(new Date(time).toISOString(), time);
    assert.deepEqual(fields, { event: "job failed", kind: "drop" });
  }
});

test("an event is words in a terminal, in which nothing moves its cursor", (t) => {
  const facts = { repository: "team/app", count: 3, account: undefined, error: "a\n\u001b[2Jb" };
  const [only] = written(t, "text", "warn", "events not handed over", facts);
  assert.match(
    only?.line ?? "",
    /^\d\d:\d\d:\d\d\.\d{3} {2}warn {2}events not handed over {2}repository=team\/app {2}count=3 {2}error=a\\u\{a\}\\u\{1b\}\[2Jb$/,
  );
});

test("a log that is turned off still has what somebody should look at", (t) => {
  assert.deepEqual(written(t, "none", "info", "deleted"), []);
  assert.equal(written(t, "none", "warn", "job failed").length, 1);
});
