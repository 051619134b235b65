import assert from "node:assert/strict";
import { chownSync, mkdirSync, readdirSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import test from "node:test";
import { DataDirectoryError, openDataDirectory } from "../../src/local/data-directory.ts";
import { prepareLayout } from "../../src/local/data-layout.ts";
import { hasNoRoom } from "../../src/local/files.ts";
import { hasEnded, signal } from "../../src/local/processes.ts";
import { workerdPid } from "../../src/local/workerd/process.ts";
import { runtimes, startProgram, temporaryDirectory, until } from "./program.ts";

test("a data directory is held by one server at a time", (t) => {
  const directory = join(temporaryDirectory(t), "new", "data");
  const first = openDataDirectory(directory);
  first.announce("http://127.0.0.1:5000");
  const link = join(temporaryDirectory(t), "link");
  symlinkSync(directory, link);
  for (const path of [directory, link]) {
    assert.throws(() => openDataDirectory(path), {
      name: "DataDirectoryError",
      message: `another server is running on the data directory ${first.path} (process ${process.pid}, http://127.0.0.1:5000)`,
    });
  }
  first.release();
  openDataDirectory(link).release();
});

test("a server that is starting is not taken for the one before it", (t) => {
  const directory = temporaryDirectory(t);
  const killed = { pid: process.pid + 1, url: "http://127.0.0.1:5000" };
  writeFileSync(join(directory, "server.json"), JSON.stringify(killed));
  writeFileSync(join(directory, "lock"), "");
  const starting = openDataDirectory(directory);
  assert.throws(() => openDataDirectory(directory), {
    message: `another server is running on the data directory ${starting.path}`,
  });
  starting.release();
});

test("a data directory that cannot be written is refused", (t) => {
  const file = join(temporaryDirectory(t), "file");
  writeFileSync(file, "");
  for (const path of [file, join(file, "data"), "/proc/stowage"]) {
    assert.throws(() => openDataDirectory(path), DataDirectoryError, path);
  }
});

test("a directory with something else in it is refused, and nothing in it touched", (t) => {
  const home = temporaryDirectory(t);
  mkdirSync(join(home, "cache"));
  assert.throws(() => openDataDirectory(home, { isShared: true }), {
    name: "DataDirectoryError",
    message: /has something else in it/,
  });
  assert.deepEqual(readdirSync(home), ["cache"]);
});

test("so is one that has something else under the names of ours", (t) => {
  for (const [folders, files] of [
    [["cache"], { lock: "" }],
    [["partial"], { lock: "" }],
    [["do", "do/this", "cache"], { notes: "" }],
    [["bucket", "r2"], {}],
    [["kv"], { bucket: "of apples" }],
  ] as const) {
    const home = temporaryDirectory(t);
    for (const name of folders) mkdirSync(join(home, name));
    for (const [name, text] of Object.entries(files)) writeFileSync(join(home, name), text);
    const names = readdirSync(home);
    assert.throws(() => openDataDirectory(home), /has something else in it/, names.join());
    assert.deepEqual(readdirSync(home), names);
  }
});

test("what others have put beside a registry's data is nothing to it", (t) => {
  const begun = temporaryDirectory(t);
  prepareLayout(begun);
  const unrecorded = temporaryDirectory(t);
  mkdirSync(join(unrecorded, "do", "stowage-Catalog"), { recursive: true });
  writeFileSync(join(unrecorded, "do", "stowage-Catalog", "metadata.sqlite"), "");
  for (const data of [begun, unrecorded]) {
    mkdirSync(join(data, "certs"));
    openDataDirectory(data).release();
  }
});

test("a directory is taken in which a start came no further than its first files", (t) => {
  const data = temporaryDirectory(t);
  for (const name of ["lock", "reserve", "bucket.6f1c6fb4-7c1a-4c4b-8c4b-3f0f7f0a9f3e"]) {
    writeFileSync(join(data, name), "");
    openDataDirectory(data).release();
  }
});

test("a directory of another user is refused, and so is one with another user's files", (t) => {
  const path = temporaryDirectory(t);
  openDataDirectory(path).release();
  prepareLayout(path);
  const { uid } = statSync(path);
  const user = t.mock.method(process as { getuid(): number }, "getuid", () => uid + 1);
  const others = (file: string, advice: string) =>
    `${file} belongs to the user ${uid}, and this server runs as the user ${uid + 1}: what one writes, the other cannot open. ` +
    `${advice} the data to this one with \`chown -R ${uid + 1} ${path}\`, or accept it with --allow-shared-data`;
  const names = readdirSync(path);
  assert.throws(() => openDataDirectory(path), {
    name: "DataDirectoryError",
    message: others(path, `Start it as the user ${uid}, or give`),
  });
  assert.deepEqual(readdirSync(path), names);
  openDataDirectory(path, { isShared: true }).release();

  // As after one start as root; only root can make it so.
  if (uid === 0) {
    chownSync(path, uid + 1, -1);
    // What others have put there is nothing to it.
    mkdirSync(join(path, "certs"));
    for (const name of ["bucket", "do", "files"]) chownSync(join(path, name), uid + 1, -1);
    assert.throws(() => openDataDirectory(path), { message: others(join(path, "lock"), "Give") });
    // It is said also where what makes it a data directory cannot be read.
    for (const name of ["bucket", "do"]) chownSync(join(path, name), uid, -1);
    process.seteuid?.(uid + 1);
    try {
      assert.throws(() => openDataDirectory(path), / belongs to the user .*Give the data to this one with/);
    } finally {
      process.seteuid?.(uid);
    }
    for (const name of ["bucket", "do"]) chownSync(join(path, name), uid + 1, -1);
    chownSync(join(path, "lock"), uid + 1, -1);
    openDataDirectory(path).release();
    // Root opens what the service's user has made in its directory.
    user.mock.restore();
    chownSync(path, uid, -1);
    openDataDirectory(path).release();
  }
  user.mock.restore();
});

test("an empty volume is taken, and what an earlier release wrote", (t) => {
  const volume = temporaryDirectory(t);
  for (const name of ["lost+found", ".snapshot"]) mkdirSync(join(volume, name));
  openDataDirectory(volume).release();
  const earlier = temporaryDirectory(t);
  for (const name of ["do/stowage-Catalog", "r2"]) mkdirSync(join(earlier, name), { recursive: true });
  writeFileSync(join(earlier, "do", "stowage-Catalog", "metadata.sqlite"), "");
  openDataDirectory(earlier).release();
});

const hold = `
  const { openDataDirectory } = await import(process.argv[2]);
  openDataDirectory(process.argv[3]);
  console.log("held");
  setInterval(() => {}, 1000);
`;

for (const [name, runtime] of Object.entries(runtimes)) {
  test(`${name}: the lock ends with a killed process`, async (t) => {
    const directory = temporaryDirectory(t);
    const script = join(temporaryDirectory(t), "hold.mjs");
    writeFileSync(script, hold);
    const module = import.meta.resolve("../../src/local/data-directory.ts");
    const holder = startProgram(t, [...runtime, script, module, directory]);
    await until("the lock", () => holder.stdout.includes("held"));
    assert.throws(() => openDataDirectory(directory), DataDirectoryError);
    signal(holder.pid, "SIGKILL");
    assert(await hasEnded(holder.pid, 5000));
    openDataDirectory(directory).release();
  });
}

test("a recorded pid that now belongs to another program is not taken for workerd", async (t) => {
  const directory = temporaryDirectory(t);
  writeFileSync(join(directory, "workerd.pid"), `${process.pid}\n`);
  assert.equal(workerdPid(directory), undefined);
  // Nor is a server with its certificate there, which in a container may well have the pid of an earlier workerd.
  const wait = "console.log('waiting'); setInterval(() => {}, 1000)";
  const flags = [`--data=${directory}/`, `--tls-cert=${directory}/certs/tls.crt`];
  const server = startProgram(t, [process.execPath, "-e", wait, "--", ...flags]);
  await until("its start", () => server.stdout.includes("waiting"));
  writeFileSync(join(directory, "workerd.pid"), `${server.pid}\n`);
  assert.equal(workerdPid(directory), undefined);
});

test("a full volume and a full quota are the same to what a server can do without", () => {
  const failed = (code: string) => Object.assign(new Error(), { code });
  assert(hasNoRoom(failed("ENOSPC")) && hasNoRoom(failed("EDQUOT")));
  assert(!hasNoRoom(failed("EIO")) && !hasNoRoom("ENOSPC"));
});
