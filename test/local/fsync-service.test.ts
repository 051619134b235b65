import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { open } from "node:fs/promises";
import { dirname, join } from "node:path";
import test, { type TestContext } from "node:test";
import { setImmediate } from "node:timers/promises";
import { openFiles } from "../../src/local/fsync-service.ts";
import { temporaryDirectory } from "./program.ts";

/** An fsync service, and the folder of a key with one part of three bytes in it. */
function serviceWithPart(t: TestContext) {
  const directory = temporaryDirectory(t);
  const [folder, name] = [`blobs/${randomUUID()}`, randomUUID()];
  mkdirSync(join(directory, folder), { recursive: true });
  writeFileSync(join(directory, folder, name), "abc");
  const answer = openFiles(directory);
  const ask = (method: string, query = "", body = "") =>
    answer({ method, query: new URLSearchParams(query), body });
  const commit = (request: object) => ask("POST", "", JSON.stringify(request));
  return { directory, folder, name, ask, commit };
}

test("files that are as they were written last; others do not, and nothing is deleted for them", async (t) => {
  const { directory, folder, name, commit } = serviceWithPart(t);
  const leftOver = join(directory, folder, ".left-over");
  writeFileSync(leftOver, "more");
  for (const files of [[{ name, sizeBytes: 2 }], [{ name: randomUUID(), sizeBytes: 3 }]]) {
    assert.deepEqual(await commit({ folder, files, isAll: true }), { status: 404 });
    assert(existsSync(leftOver));
  }
  const files = [{ name, sizeBytes: 3 }];
  assert.deepEqual(await commit({ folder, files, isAll: true }), { status: 204 });
  assert(!existsSync(leftOver));
  // What lasts already is looked at all the same.
  writeFileSync(join(directory, folder, name), "abcd");
  assert.deepEqual(await commit({ folder, files, isAll: false }), { status: 404 });
  const nowhere = { folder: `blobs/${randomUUID()}`, files, isAll: true };
  assert.deepEqual(await commit(nowhere), { status: 404 });
});

test("a part is synced once, and an index each time, as it may have been written anew", async (t) => {
  const { directory, folder, name, commit } = serviceWithPart(t);
  const opened = await open(directory);
  const { mock } = t.mock.method(Object.getPrototypeOf(opened), "datasync");
  await opened.close();
  writeFileSync(join(directory, folder, "index"), "[]");
  const files = [
    { name, sizeBytes: 3 },
    { name: "index", sizeBytes: 2 },
  ];
  for (const synced of [2, 1, 1]) {
    mock.resetCalls();
    assert.deepEqual(await commit({ folder, files, isAll: true }), { status: 204 });
    assert.equal(mock.callCount(), synced);
  }
});

test("a whole moves into the folder of all, and nothing stays of its own", async (t) => {
  const { directory, commit } = serviceWithPart(t);
  for (let round = 0; round < 2; round++) {
    const folder = `blobs/${randomUUID()}`;
    const [own, kept] = [join(directory, folder), join(directory, "wholes", folder.slice("blobs/".length))];
    assert.deepEqual(await commit({ folder, wholeBytes: 3 }), { status: 404 });
    mkdirSync(own);
    writeFileSync(join(own, "whole"), "abc");
    writeFileSync(join(own, ".kj-tmp.1.1.whole.partial"), "left over");
    assert.deepEqual(await commit({ folder, wholeBytes: 2 }), { status: 404 });
    assert(existsSync(join(own, "whole")) && !existsSync(kept));
    assert.deepEqual(await commit({ folder, wholeBytes: 3 }), { status: 204 });
    assert(!existsSync(own));
    assert.equal(readFileSync(kept, "utf8"), "abc");
    // It was put again, as the answer was lost.
    mkdirSync(own);
    writeFileSync(join(own, "whole"), "abcd");
    assert.deepEqual(await commit({ folder, wholeBytes: 4 }), { status: 204 });
    assert(!existsSync(own));
    assert.equal(readFileSync(kept, "utf8"), "abcd");
  }
});

test("no request leads out of the folder of a key", async (t) => {
  const { directory, folder, name, commit } = serviceWithPart(t);
  const files = [{ name, sizeBytes: 3 }];
  const outside = join(dirname(directory), `outside-${randomUUID()}`);
  mkdirSync(outside);
  writeFileSync(join(outside, name), "abc");
  const elsewhere = [
    "",
    ".",
    "blobs",
    "blobs/",
    `blobs/../${folder}`,
    `${folder}/..`,
    `${folder}/`,
    `/${folder}`,
    `../${outside.slice(dirname(directory).length + 1)}`,
    outside,
    folder.toUpperCase(),
  ];
  for (const each of elsewhere) {
    assert.deepEqual(await commit({ folder: each, files, isAll: true }), { status: 400 }, each);
    assert.deepEqual(await commit({ folder: each, wholeBytes: 3 }), { status: 400 }, each);
  }
  for (const each of ["", "..", `../${name}`, `${name}/`, "/etc/passwd", "other", "whole", 1, null]) {
    const request = { folder, files: [{ name: each, sizeBytes: 3 }], isAll: true };
    assert.deepEqual(await commit(request), { status: 400 }, String(each));
  }
  for (const request of [
    {},
    { folder, files },
    { folder, files: [{ name }], isAll: true },
    { folder, files: [{ name, sizeBytes: -1 }], isAll: true },
    { folder, files: name, isAll: true },
    { folder, files: [null], isAll: true },
    { folder, wholeBytes: -1 },
    { folder, wholeBytes: "3" },
    { folder, wholeBytes: null },
    { wholeBytes: 3 },
  ]) {
    assert.deepEqual(await commit(request), { status: 400 }, JSON.stringify(request));
  }
  assert(existsSync(join(outside, name)) && existsSync(join(directory, folder, name)));
});

test("keys are listed in pages, in order", async (t) => {
  const { directory, ask } = serviceWithPart(t);
  const inParts = [randomUUID(), randomUUID()];
  for (const name of inParts) mkdirSync(join(directory, "blobs", name));
  mkdirSync(join(directory, "wholes"));
  // A kill left one of them in both places.
  for (const name of [randomUUID(), randomUUID(), inParts[0] ?? ""]) {
    writeFileSync(join(directory, "wholes", name), "abc");
  }
  const seen: string[] = [];
  let after = "";
  for (let pages = 0; pages < 3; pages++) {
    const { status, body = "" } = await ask("GET", `after=${encodeURIComponent(after)}&limit=2`);
    assert.equal(status, 200);
    const page: { objects: { key: string }[]; cursor?: string } = JSON.parse(body);
    seen.push(...page.objects.map(({ key }) => key));
    after = page.cursor ?? "end";
  }
  assert.equal(after, "end");
  assert.equal(seen.length, 5);
  assert.deepEqual(seen, seen.toSorted());
});

test("what is no request of the bucket's is refused", async (t) => {
  const { ask } = serviceWithPart(t);
  for (const query of ["", "limit=0", "limit=1001", "limit=1.5", "limit=all"]) {
    assert.deepEqual(await ask("GET", query), { status: 400 }, query);
  }
  for (const method of ["PUT", "DELETE"]) {
    assert.deepEqual(await ask(method, "limit=1", "{}"), { status: 400 }, method);
  }
  assert.deepEqual(await ask("POST", "", "no JSON"), { status: 400 });
});

test("however much is to last at once, few files are open for it", {
  skip: !existsSync("/proc/self/fd"),
}, async (t) => {
  const { directory, commit } = serviceWithPart(t);
  const requests = Array.from({ length: 200 }, () => {
    const [folder, name] = [`blobs/${randomUUID()}`, randomUUID()];
    mkdirSync(join(directory, folder));
    writeFileSync(join(directory, folder, name), "abc");
    return { folder, files: [{ name, sizeBytes: 3 }], isAll: false };
  });
  const openNow = () => readdirSync("/proc/self/fd").length;
  const before = openNow();
  let most = 0;
  let isOver = false;
  const committed = Promise.all(requests.map(commit)).finally(() => {
    isOver = true;
  });
  while (!isOver) {
    most = Math.max(most, openNow() - before);
    await setImmediate();
  }
  assert((await committed).every(({ status }) => status === 204));
  assert(most > 0 && most < 100, `${most} were open`);
});
