/** The local server as a process of its own, on a port that it keeps over restarts. */
import assert from "node:assert/strict";
import { randomInt } from "node:crypto";
import { createServer } from "node:net";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { isAlive, signal } from "../../../src/local/processes.ts";
import { type Program, ready, recordedWorkerd, runtimes, startProgram, until } from "../../local/program.ts";

const main = join("src", "local", "main.ts");

/** The commands that start the server. */
export const serverCommands = {
  node: [...runtimes.node, main],
  deno: [runtimes.deno[0] ?? "deno", "task", "start"],
};

/** A running server. */
export interface Server {
  url: string;
  /** The data directory. */
  data: string;
  /** `127.0.0.1:<port>`, as it begins the name of an image. */
  host: string;
  /** The requests that it has answered so far, as it logs them. */
  requests(): LoggedRequest[];
  /** Ends it as SIGTERM does, and checks that it answered no request with a 5xx. */
  stop(): Promise<void>;
  /** Ends it as `kill -9` does, and checks that nothing of it is left. */
  kill(): Promise<void>;
  /** Ends workerd alone as `kill -9` does, and waits until the server has started it again. */
  killWorkerd(): Promise<void>;
  /** Ends all of its processes at once, as `kill -9` does. */
  killAll(): Promise<void>;
}

/** What the server's log says of a request. */
export interface LoggedRequest {
  method: string;
  route: string;
  repository?: string;
  reference?: string;
  account?: string;
  status: number;
  error?: string;
  bytesOut?: number;
}

/** What a server is started with. */
export interface ServerOptions {
  /** The data directory; must exist. */
  data: string;
  port: number;
  runtime?: keyof typeof serverCommands;
  /** Variables of the Worker. */
  vars?: Record<string, string>;
  /** Those of the environment, which has the secrets. */
  env?: Record<string, string>;
  /** The password of the account `admin`, without which the server is open to all of this machine. */
  adminPassword?: string;
}

/** A port that nothing listens on, and that the system gives to no outgoing connection meanwhile. */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = randomInt(20_000, 32_000);
    const server = createServer();
    const isFree = await new Promise<boolean>((resolve) => {
      server.once("error", () => resolve(false));
      server.listen(port, "127.0.0.1", () => server.close(() => resolve(true)));
    });
    if (isFree) return port;
  }
}

/** workerd's remarks about itself, and the command that `deno task` runs. */
const harmless = /^{"time":"[^"]*","event":"workerd"|\/deno run [-a-z ]*src\/local\/main\.ts /;

/** What a server logged that is no answer to a client's own mistake. */
function serverErrors({ stdout, stderr }: Program): string[] {
  const failed = stdout.split("\n").filter((line) => /"status":5\d\d/.test(line));
  const events = stderr.split("\n").filter((line) => line !== "" && !harmless.test(line));
  return [...failed, ...events];
}

/** The requests among the lines that a server logged. */
function loggedRequests({ stdout }: Program): LoggedRequest[] {
  const lines = stdout.split("\n").filter((line) => line.startsWith("{") && line.endsWith("}"));
  return lines.map((line) => JSON.parse(line)).filter(({ route }) => route !== undefined);
}

/** Starts the server. It is killed after the test, if the test has not ended it. */
export async function startServer(t: TestContext, options: ServerOptions): Promise<Server> {
  const { data, port, runtime = "node", vars = {}, adminPassword } = options;
  const env = { ...options.env, ...(adminPassword === undefined ? {} : { ADMIN_PASSWORD: adminPassword }) };
  const flags = ["--port", String(port), "--data", data, "--log", "json"];
  for (const [name, value] of Object.entries(vars)) flags.push("--var", `${name}=${value}`);
  const program = startProgram(t, [...serverCommands[runtime], ...flags], { data, env });
  const url = await ready(program);
  const workerd = recordedWorkerd(data);
  assert(workerd !== undefined, "the server recorded its workerd");
  const nothingIsLeft = () =>
    until("the end of the server and its workerd", () => !isAlive(program.pid) && !isAlive(workerd));
  return {
    url,
    data,
    host: new URL(url).host,
    requests: () => loggedRequests(program),
    stop: async () => {
      signal(runtime === "node" ? program.pid : -program.pid, "SIGTERM");
      await program.ended;
      await nothingIsLeft();
      assert.deepEqual(serverErrors(program), []);
    },
    kill: async () => {
      signal(program.pid, "SIGKILL");
      await program.ended;
      await nothingIsLeft();
    },
    killWorkerd: async () => {
      signal(workerd, "SIGKILL");
      await until("workerd's restart", () => /workerd was ended by .* started again/.test(program.stderr));
    },
    killAll: async () => {
      signal(-program.pid, "SIGKILL");
      await program.ended;
      await nothingIsLeft();
    },
  };
}
