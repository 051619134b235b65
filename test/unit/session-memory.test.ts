import assert from "node:assert/strict";
import test from "node:test";
import { type Remembered, SessionMemory } from "../../src/objects/upload/session-memory.ts";

/** Sessions that have a hash once they were used, and how often each was made. */
function memory() {
  const made = new Map<string, number>();
  const sessions = new SessionMemory((id): Remembered & { id: string } => {
    made.set(id, 1 + (made.get(id) ?? 0));
    return {
      id,
      users: 0,
      hash: undefined,
      get isAtRest() {
        return this.users === 0;
      },
    };
  });
  const write = (id: string) =>
    sessions.use(id, async (session) => {
      session.hash = {};
    });
  return { made, sessions, write };
}

test("of sessions that nobody uses the last thousand are remembered that have a hash", async () => {
  const { made, sessions, write } = memory();
  await sessions.use("without", async () => {});
  await write("used again");
  for (let index = 0; index < 999; index++) await write(`session ${index}`);
  await write("used again");
  await write("one more");
  for (const id of ["used again", "one more", "session 1", "without", "session 0"]) await write(id);
  const again = [...made].filter(([, times]) => times > 1).map(([id]) => id);
  assert.deepEqual(again, ["without", "session 0"]);
});

test("what somebody uses is one and the same, however many others come and go", async () => {
  const { made, sessions, write } = memory();
  const { promise, resolve } = Promise.withResolvers<void>();
  const using = sessions.use("slow", () => promise);
  for (let index = 0; index < 2000; index++) await write(`session ${index}`);
  await sessions.use("slow", async (session) => assert.equal(session.users, 2));
  assert.deepEqual(
    sessions.used.map(({ id }) => id),
    ["slow"],
  );
  resolve();
  await using;
  assert.equal(made.get("slow"), 1);
  assert.deepEqual(sessions.used, []);
});
