import assert from "node:assert/strict";
import { PassThrough, Writable } from "node:stream";
import test from "node:test";
import { runtimeLog, serverLine } from "../../src/local/runtime-log.ts";
import { mebibyte } from "../../src/units.ts";

test("nothing that moves a terminal's cursor gets into the log as it is, in whichever form", () => {
  const to = { stdout: new PassThrough().setEncoding("utf8"), stderr: new PassThrough().setEncoding("utf8") };
  const take = runtimeLog("text", to);
  const said = { name: "\x1b[2J\x7f\x9b2J\u2028\r\n\0 æ" };
  take(JSON.stringify(said), "stdout");
  take("plain \x1b[2J\x9b2J", "stderr");
  for (const text of [
    to.stdout.read(),
    to.stderr.read(),
    serverLine("text", "a\nb\x1b"),
    serverLine("json", "\x9b"),
  ]) {
    // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is looked for
    assert.match(text, /^[^\x00-\x1f\x7f-\x9f\u2028]+\n$/);
  }
  take(JSON.stringify(said), "stdout");
  assert.deepEqual(JSON.parse(to.stdout.read()), said, "JSON still says the same");
});

test("of workerd's lines there is what an operator can use", () => {
  const to = { stdout: new PassThrough().setEncoding("utf8"), stderr: new PassThrough().setEncoding("utf8") };
  const take = runtimeLog("text", to);
  const place = "workerd/io/actor-cache.c++:83";
  take(
    `${place}: warning: NOSENTRY SQLite alarm overdue, running despite AlarmManager mismatch; a = 1`,
    "stderr",
  );
  assert.equal(to.stderr.read(), null, "that an alarm is late, after a start");
  take(`${place}: error: disk I/O error; stack: 1234@5 6789@a`, "stderr");
  assert.equal(to.stderr.read(), "stowage: workerd: error: disk I/O error\n");
});

/** An output that nobody reads until it is told that somebody does, and what was read from it. */
function unreadOutput() {
  let read = "";
  let isRead = false;
  let take = () => {};
  const stream = new Writable({
    write: (piece: Buffer, _, done) => {
      take = () => {
        read += piece.toString();
        done();
      };
      if (isRead) take();
    },
  });
  const readAll = () => {
    isRead = true;
    take();
  };
  return { stream, readAll, read: () => read };
}

test("what nobody reads does not fill the memory, and who reads again is told what is missing", () => {
  for (const stream of ["stdout", "stderr"] as const) {
    const output = unreadOutput();
    const other = new PassThrough();
    const take = runtimeLog("json", { stdout: other, stderr: other, [stream]: output.stream });
    const line = JSON.stringify({ text: "x".repeat(1000) });
    const count = 20_000;
    for (let each = 0; each < count; each++) take(line, stream);
    const held = output.stream.writableLength;
    assert(held > mebibyte && held < 10 * mebibyte, `${held} bytes are held`);
    output.readAll();
    take(line, stream);
    take(line, stream);
    const lines = output.read().trimEnd().split("\n");
    const kept = lines.filter((each) => each === line).length;
    const { event, message } = JSON.parse(lines.at(-3) ?? "");
    assert.equal(event, "server");
    assert.equal(message, `${count + 2 - kept} lines of the log were dropped, as nobody read it`);
    assert.equal(lines.length, kept + 1);
  }
});
