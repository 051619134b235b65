import assert from "node:assert/strict";
import { chmodSync, existsSync, readFileSync, writeFileSync } from "node:fs";
import { delimiter, join } from "node:path";
import test, { type TestContext } from "node:test";
import { openChannels } from "../../src/local/channels.ts";
import { prepareLayout } from "../../src/local/data-layout.ts";
import { serveFsync } from "../../src/local/fsync-service.ts";
import { isAlive, signal } from "../../src/local/processes.ts";
import { workerdPid } from "../../src/local/workerd/process.ts";
import { compileProgram } from "../../src/local/workerd/program.ts";
import { startRuntime } from "../../src/local/workerd/runtime.ts";
import { afterTest } from "../support/ends.ts";
import { temporaryDirectory, until } from "./program.ts";

const skip = process.platform !== "linux";

/** What a workerd of the Worker for tests is started with, on a directory for data. */
async function workerdOptions(t: TestContext, data: string, path = process.env.PATH ?? "") {
  const { folders } = prepareLayout(data);
  const channels = await openChannels(data);
  afterTest(t, await serveFsync(folders.files, channels, () => {}));
  return {
    program: await compileProgram(join(import.meta.dirname, "fixture-worker.ts")),
    dataDirectory: data,
    folders,
    channels,
    environment: { PATH: path },
    onLine: () => {},
  };
}

test("a workerd that is started again and never listens keeps no server from stopping", {
  skip,
}, async (t) => {
  const [data, bin] = [temporaryDirectory(t), temporaryDirectory(t)];
  const [isHanging, started] = [join(bin, "is-hanging"), join(bin, "started")];
  // The program that ends workerd with its parent; told to, it stands for a workerd that does not get so far.
  const stand = `#!/bin/sh\n[ -e '${isHanging}' ] || exec /usr/bin/setpriv "$@"\necho $$ > '${started}'\nexec sleep 600\n`;
  writeFileSync(join(bin, "setpriv"), stand);
  chmodSync(join(bin, "setpriv"), 0o755);
  const options = await workerdOptions(t, data, `${bin}${delimiter}${process.env.PATH}`);
  const failures: string[] = [];
  const runtime = await startRuntime(options, {
    onRestart: () => {},
    onFailure: (reason) => failures.push(reason),
  });
  writeFileSync(isHanging, "");
  signal(workerdPid(data) ?? 0, "SIGKILL");
  const pid = await until("another start", () =>
    existsSync(started) ? Number(readFileSync(started, "utf8")) : 0,
  );
  afterTest(t, () => signal(pid, "SIGKILL"));
  await runtime.stop(60_000);
  assert(!isAlive(pid));
  assert.deepEqual(failures, []);
});

test("a workerd that does not listen in time is ended, and the start fails", { skip }, async (t) => {
  const [data, bin] = [temporaryDirectory(t), temporaryDirectory(t)];
  writeFileSync(join(bin, "setpriv"), "#!/bin/sh\nexec sleep 600\n");
  chmodSync(join(bin, "setpriv"), 0o755);
  const options = {
    program: new Uint8Array(),
    dataDirectory: data,
    folders: prepareLayout(data).folders,
    channels: await openChannels(data),
    environment: { PATH: `${bin}${delimiter}${process.env.PATH}` },
    onLine: () => {},
  };
  const events = { onRestart: () => {}, onFailure: () => {} };
  await assert.rejects(startRuntime(options, events, { everyMs: 50, mostSilent: 10 }), {
    name: "WorkerdError",
    message: "workerd did not listen within 0.5 s, and was ended by the signal SIGKILL",
  });
});

test("a workerd that ends again and again is given up at its fifth end", { skip }, async (t) => {
  const data = temporaryDirectory(t);
  const options = await workerdOptions(t, data);
  const [restarts, failures]: [string[], string[]] = [[], []];
  const runtime = await startRuntime(options, {
    onRestart: (reason) => restarts.push(reason),
    onFailure: (reason) => failures.push(reason),
  });
  afterTest(t, () => runtime.stop(0));
  for (let ends = 1; ends <= 5; ends++) {
    signal(workerdPid(data) ?? 0, "SIGKILL");
    await until("what follows", () => restarts.length + failures.length === ends);
  }
  assert.equal(restarts.length, 4);
  assert.deepEqual(failures, ["was ended by the signal SIGKILL, for the 5th time within 60 s"]);
});

test("a workerd that hangs is ended and started again", {
  skip,
}, async (t) => {
  const data = temporaryDirectory(t);
  const restarts: string[] = [];
  const onLine = (line: string) => void restarts.push(line);
  const runtime = await startRuntime(
    { ...(await workerdOptions(t, data)), onLine },
    { onRestart: (reason) => restarts.push(reason), onFailure: (reason) => restarts.push(reason) },
    { everyMs: 50, mostSilent: 40 },
  );
  afterTest(t, () => runtime.stop(0));
  const first = workerdPid(data);
  signal(first ?? 0, "SIGSTOP");
  await until("another start", () => restarts.length > 0);
  assert.deepEqual(restarts, ["did not answer for 2 s, and was ended by the signal SIGKILL"]);
  assert.notEqual(workerdPid(data), first);
});
