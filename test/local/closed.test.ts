/** What of a running server others on the machine can reach: its port, and nothing else. */
import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { chmodSync, globSync, lstatSync, mkdirSync, readdirSync, readFileSync, readlinkSync } from "node:fs";
import { userInfo } from "node:os";
import { basename, join } from "node:path";
import test, { type TestContext } from "node:test";
import { content, digestOf } from "../support/content.ts";
import { ready, recordedWorkerd, runtimes, startProgram, temporaryDirectory } from "./program.ts";

const main = join(import.meta.dirname, "..", "..", "src", "local", "main.ts");
const password = "a password that is in no file";

/** The sockets that a process has open, by their inodes. */
function socketsOf(pid: number): string[] {
  const links = readdirSync(`/proc/${pid}/fd`).flatMap((fd) => {
    try {
      return [readlinkSync(`/proc/${pid}/fd/${fd}`)];
    } catch {
      return [];
    }
  });
  return links.flatMap((link) => /^socket:\[(\d+)\]$/.exec(link)?.[1] ?? []);
}

/** The TCP ports that processes listen on. proc(5): in the fourth column, 0A is LISTEN. */
function listeningPorts(pids: number[]): number[] {
  const sockets = new Set(pids.flatMap(socketsOf));
  const rows = ["/proc/net/tcp", "/proc/net/tcp6"].flatMap((file) =>
    readFileSync(file, "utf8").split("\n").slice(1),
  );
  return rows
    .map((row) => row.trim().split(/\s+/))
    .filter((columns) => columns[3] === "0A" && sockets.has(columns[9] ?? ""))
    .map((columns) => Number.parseInt(columns[1]?.split(":")[1] ?? "", 16));
}

/** The paths of the Unix sockets that a process listens on. */
function unixSockets(pids: number[]): string[] {
  const sockets = new Set(pids.flatMap(socketsOf));
  const rows = readFileSync("/proc/net/unix", "utf8").split("\n").slice(1);
  return rows
    .map((row) => row.split(/\s+/))
    .filter((columns) => sockets.has(columns[6] ?? "") && columns[7] !== undefined)
    .map((columns) => columns[7] ?? "");
}

async function startClosed(t: TestContext, env: Record<string, string> = {}) {
  const parent = temporaryDirectory(t);
  // What is tested is the directory that the server makes, not the one that it is in.
  chmodSync(parent, 0o755);
  const data = join(parent, "data");
  const flags = ["--port", "0", "--data", data, "--log", "none"];
  const command = [...runtimes.node, main, ...flags];
  const server = startProgram(t, command, { data, env: { ADMIN_PASSWORD: password, ...env } });
  const url = await ready(server);
  const workerd = recordedWorkerd(data);
  assert(workerd !== undefined);
  return { data, url, pids: [server.pid, workerd] };
}

test("one port listens, and no file or command line has what others must not read", async (t) => {
  const { data, url, pids } = await startClosed(t);
  assert.deepEqual(listeningPorts(pids), [Number(new URL(url).port)]);

  const blob = content();
  const headers = { Authorization: `Basic ${Buffer.from(`admin:${password}`).toString("base64")}` };
  const pushed = await fetch(`${url}/v2/team/app/blobs/uploads/?digest=${digestOf(blob)}`, {
    method: "POST",
    headers,
    body: blob,
  });
  assert.equal(pushed.status, 201);
  const files = [data, ...globSync("**", { cwd: data }).map((name) => join(data, name))];
  assert(files.length > 10, "the registry wrote files");
  for (const file of files) {
    assert.equal((lstatSync(file).mode & 0o077).toString(8), "0", file);
    if (lstatSync(file).isFile()) assert(!readFileSync(file).includes(password), file);
  }
  for (const pid of pids) assert(!readFileSync(`/proc/${pid}/cmdline`, "utf8").includes(password));
  assert.equal(
    Object.keys(environmentOf(pids[1])).includes("PATH"),
    false,
    "workerd has the Worker's variables alone",
  );
});

function environmentOf(pid: number | undefined): Record<string, string> {
  const lines = readFileSync(`/proc/${pid}/environ`, "utf8").split("\0");
  return Object.fromEntries(lines.map((line) => line.split("=", 2)));
}

test("another user of the machine reaches neither sockets nor files", async (t) => {
  if (userInfo().uid !== 0) {
    // Only root can become somebody else; the modes are those that the test above compares.
    t.diagnostic("not run as root: nobody else tries");
    return;
  }
  const { data, pids } = await startClosed(t);
  const sockets = unixSockets(pids);
  assert.equal(sockets.length, 2, sockets.join(", "));
  const asNobody = (...command: string[]) =>
    spawnSync("setpriv", ["--reuid=65534", "--regid=65534", "--clear-groups", ...command], {
      encoding: "utf8",
    });
  assert.equal(asNobody("id", "-u").stdout, "65534\n");
  for (const socket of sockets) {
    const connect = `require("node:net").connect(${JSON.stringify(socket)}).on("connect", () => console.log("in")).on("error", (error) => console.log(error.code))`;
    assert.equal(asNobody(nodeForAll(), "-e", connect).stdout, "EACCES\n", socket);
  }
  assert.match(asNobody("ls", data).stderr, /Permission denied/);
});

/** A node that another user may run: one that is not in a home directory. */
function nodeForAll(): string {
  return execFileSync("sh", ["-c", "PATH=/usr/local/bin:/usr/bin:/bin command -v node"], {
    encoding: "utf8",
  }).trim();
}

test("nothing of a known name is read or written where others can make files first", async (t) => {
  const temporary = temporaryDirectory(t);
  const { data } = await startClosed(t, { TMPDIR: temporary });
  const [sockets = ""] = readFileSync(join(data, "sockets"), "utf8").split("\n");
  assert.deepEqual(readdirSync(temporary), [basename(sockets)]);
});

test("a directory that others can read is refused, unless that is said to be meant", async (t) => {
  const data = join(temporaryDirectory(t), "shared");
  mkdirSync(data, { mode: 0o755 });
  const flags = ["--port", "0", "--data", data];
  const refused = startProgram(t, [...runtimes.node, main, ...flags], { data });
  assert.deepEqual(await refused.ended, { code: 1, signal: null });
  assert.match(
    refused.stderr,
    /^stowage: others on this machine can read the data directory .*chmod 700.*--allow-shared-data\n$/,
  );
  await ready(startProgram(t, [...runtimes.node, main, ...flags, "--allow-shared-data"], { data }));
});
