import assert from "node:assert/strict";
import test, { type TestContext } from "node:test";
import { logRequest, type RequestRecord } from "../../src/edge/app.ts";
import { setLogFormat } from "../../src/log.ts";

const record: RequestRecord = {
  requestId: "06fc0f99-d373-48c9-acc2-9fe79c760320",
  method: "PUT",
  route: "manifest",
  params: { name: "team/app" },
  path: undefined,
  account: "ci",
  status: 201,
  error: undefined,
  reference: "v1",
  bytesIn: 1482,
  bytesOut: 10,
  milliseconds: 7.4321,
};

function linesOf(t: TestContext, format: "json" | "text" | "none", logged: RequestRecord): string[] {
  const lines: string[] = [];
  t.mock.method(console, "log", (line: string) => lines.push(line));
  setLogFormat(format);
  logRequest(logged);
  return lines;
}

test("a line for a terminal has what there is, and what is missing takes no room", (t) => {
  const [line = ""] = linesOf(t, "text", record);
  assert.match(line, /^\d\d:\d\d:\d\d\.\d{3} {2}201 {2}PUT /);
  assert.deepEqual(line.split(/ {2,}/).slice(1), [
    "201",
    "PUT",
    "manifest",
    "team/app v1",
    "ci",
    "1492 B",
    "7.4 ms",
    record.requestId,
  ]);
});

test("a line for a terminal moves no cursor, and stays one line", (t) => {
  const hostile = {
    ...record,
    params: { name: "a\u001b[2J\nb" },
    account: "x\u0085y",
    error: "DENIED" as const,
  };
  const [line = ""] = linesOf(t, "text", hostile);
  assert.match(line, /a\\u\{1b\}\[2J\\u\{a\}b v1 {2}x\\u\{85\}y /);
  assert.match(line, /^[\x20-\x7e]+$/);
});

test("a line for a machine is JSON, and there may be none", (t) => {
  const [line = ""] = linesOf(t, "json", record);
  const { time, ...fields } = JSON.parse(line);
  assert.equal(new Date(time).toISOString(), time);
  assert.deepEqual(fields, {
    method: "PUT",
    route: "manifest",
    repository: "team/app",
    reference: "v1",
    account: "ci",
    status: 201,
    bytesIn: 1482,
    bytesOut: 10,
    milliseconds: 7.4,
    requestId: record.requestId,
  });
  t.mock.restoreAll();
  assert.deepEqual(linesOf(t, "none", record), []);
});

test("a request for nothing that there is has its path in the line", (t) => {
  const lost = { ...record, route: "none", params: {}, path: "/v1/a\u001b[2J\n", reference: undefined };
  const [text = ""] = linesOf(t, "text", lost);
  assert.match(text, / {2}none {7}\/v1\/a\\u\{1b\}\[2J\\u\{a\} {2}ci /);
  t.mock.restoreAll();
  const [line = ""] = linesOf(t, "json", lost);
  assert.equal(JSON.parse(line).path, lost.path);
  assert.match(line, /^[\x20-\x7e]+$/);
});

test("what a client names is cut", (t) => {
  const name = "x".repeat(100_000);
  const long = { ...record, params: { name }, path: name, reference: "y".repeat(100_000) };
  for (const format of ["json", "text"] as const) {
    const [line = ""] = linesOf(t, format, long);
    assert(line.length < 1300 && line.includes("xxx") && line.includes("yyy"), format);
    t.mock.restoreAll();
  }
});
