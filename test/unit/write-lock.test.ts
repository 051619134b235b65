import assert from "node:assert/strict";
import test from "node:test";
import { WriteLock } from "../../src/objects/upload/write-lock.ts";
import { getOn } from "../support/get-on.ts";

test("one request writes at a time, and one that fails lets the next one write", async (t) => {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  const lock = new WriteLock(() => {});
  const { promise, reject } = Promise.withResolvers<{ ok: true }>();
  const first = lock.run(() => promise);
  const begun: string[] = [];
  const write = (name: string) =>
    lock.run(async () => {
      begun.push(name);
      return { ok: true };
    });
  const second = write("second");
  await Promise.resolve();
  t.mock.timers.tick(1000);
  const refused = await second;
  assert.equal(refused.ok ? undefined : refused.error, "BLOB_UPLOAD_BUSY");
  const third = write("third");
  reject(new Error("the bucket failed"));
  await assert.rejects(first);
  assert.deepEqual(await third, { ok: true });
  assert.deepEqual([begun, lock.isHeld], [["third"], false]);
});

test("of two that waited for the same write, one writes", async () => {
  const lock = new WriteLock(() => {});
  const [first, next] = [Promise.withResolvers<{ ok: true }>(), Promise.withResolvers<{ ok: true }>()];
  void lock.run(() => first.promise);
  await getOn();
  let begun = 0;
  const write = () =>
    lock.run(() => {
      begun++;
      return next.promise;
    });
  const waiting = [write(), write()];
  first.resolve({ ok: true });
  await getOn();
  assert.equal(begun, 1);
  next.resolve({ ok: true });
  const outcomes = await Promise.all(waiting);
  assert.equal(outcomes.filter(({ ok }) => ok).length, 1);
});
