/**
 * The process that runs the Worker.
 *
 * - It ends with the server, even where the server is killed: on Linux by the kernel; elsewhere the next start on the
 *   same data directory ends what was left running.
 * - It does not end with Ctrl-C, which a terminal sends to the whole process group, but once its requests are finished:
 *   it has a session of its own.
 * - It knows nothing but its configuration, which it reads from stdin, and the variables of the Worker: neither its
 *   command line nor a file has a secret.
 */
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import type { Readable } from "node:stream";
import { type Channels, workerdAddress } from "../channels.ts";
import { type DataFolders, foldersOf } from "../data-layout.ts";
import { removeIfPossible, writeIfRoom } from "../files.ts";
import { commandOf, hasEnded, signal } from "../processes.ts";
import { whyNotRun, workerdFile } from "./binary.ts";
import { names } from "./config.ts";
import { WorkerdError } from "./errors.ts";
import { type WatchTimes, watchStart } from "./watchdog.ts";

const killTimeoutMs = 5000;
const endingMs = 500;

/** The input of a new process. */
export interface WorkerdOptions {
  /** From `readProgram` or `compileProgram`. */
  program: Uint8Array;
  /** Absolute path of the data directory, where the pid is recorded. */
  dataDirectory: string;
  /** Absolute paths. */
  folders: DataFolders;
  /** The addresses of the Worker, and of the fsync service, which listens already. */
  channels: Channels;
  /** The complete environment of the process. */
  environment: Record<string, string>;
  /** Receives each line of its output, without the end of the line. */
  onLine: (line: string, stream: "stdout" | "stderr") => void;
}

/** A process that answers requests. */
export interface Workerd {
  pid: number;
  /** Resolves once it has ended, with a description of how. */
  ended: Promise<string>;
}

let isBound: boolean | undefined;

/** Whether the kernel can be told, by util-linux' setpriv, to end a process with the one that started it. */
function canBind(): boolean {
  if (isBound !== undefined) return isBound;
  try {
    execFileSync("setpriv", ["--pdeathsig", "KILL", "true"], { stdio: "ignore" });
    isBound = process.platform === "linux";
  } catch {
    isBound = false;
  }
  return isBound;
}

/**
 * Starts workerd and waits until it listens.
 *
 * @param givenUp aborts the start
 * @param times how long it has for that
 * @throws WorkerdError if it ends before that, takes too long, or does not run on this machine
 */
export async function startWorkerd(
  options: WorkerdOptions,
  givenUp: AbortSignal,
  times: WatchTimes,
): Promise<Workerd> {
  const { program, dataDirectory, folders, channels, environment, onLine } = options;
  // A killed process leaves its socket behind.
  if ("path" in channels.worker) rmSync(channels.worker.path, { force: true });
  const executable = workerdFile();
  const command = [
    ...(canBind() ? ["setpriv", "--pdeathsig", "KILL", "--"] : []),
    executable,
    "serve",
    "--binary",
    "-",
    `--socket-addr=${names.socket}=${workerdAddress(channels.worker)}`,
    `--external-addr=${names.fsync}=${workerdAddress(channels.fsync)}`,
    objectsArgument(folders),
    `--directory-path=${names.files}=${folders.files}`,
    "--control-fd=3",
  ];
  const [file = "", ...args] = command;
  const child = spawn(file, args, {
    detached: true,
    env: { ...environment, ...(channels.secret === undefined ? {} : { CHANNEL_SECRET: channels.secret }) },
    stdio: ["pipe", "pipe", "pipe", "pipe"],
  });
  const ended = endOf(child);
  const endHold = holdLines(child, onLine);
  // Its end says what is wrong. The configuration is longer than what a pipe holds: if this process ends meanwhile,
  // workerd has not read it to its end and does not start.
  child.stdin?.on("error", () => {}).end(program);
  const isListening = new Promise<true>((resolve) => {
    const [, , , control] = child.stdio;
    // One line of JSON for each socket, of which there is one.
    (control as Readable).once("data", () => resolve(true)).on("error", () => {});
  });
  const giveUp = () => child.kill("SIGKILL");
  const starting = new AbortController();
  let slowness: string | undefined;
  watchStart(times, starting.signal, (words) => {
    slowness = words;
    giveUp();
  });
  // Where the kernel does not end it with this process, it may go on as soon as it has read its configuration.
  process.on("exit", giveUp);
  givenUp.addEventListener("abort", giveUp);
  let outcome: string | true;
  try {
    if (child.pid !== undefined) writeIfRoom(recordOf(dataDirectory), `${child.pid}\n`);
    outcome = await Promise.race([isListening, ended]);
  } catch (error) {
    giveUp();
    throw error;
  } finally {
    starting.abort();
    givenUp.removeEventListener("abort", giveUp);
    process.off("exit", giveUp);
  }
  const isExplained = outcome === true || givenUp.aborted || slowness !== undefined;
  const obstacle = isExplained ? undefined : whyNotRun(executable);
  endHold(obstacle === undefined);
  if (obstacle !== undefined) throw obstacle;
  if (outcome === true && child.pid !== undefined) return { pid: child.pid, ended };
  throw new WorkerdError(`workerd ${slowness === undefined ? outcome : `${slowness}, and ${outcome}`}`);
}

function endOf(child: ChildProcess): Promise<string> {
  return new Promise((resolve) => {
    child.once("error", (error) => resolve(`cannot be started: ${error.message}`));
    child.once("exit", (code, name) => {
      resolve(name === null ? `ended with exit code ${code}` : `was ended by the signal ${name}`);
    });
  });
}

/**
 * Passes lines on, but holds them back at first: of a workerd that does not run here, the error has what the system's
 * loader of programs said.
 *
 * @returns ends that; what was held back is passed on, or not
 */
function holdLines(child: ChildProcess, onLine: WorkerdOptions["onLine"]): (isPassedOn: boolean) => void {
  const held: (() => void)[] = [];
  let isHeld = true;
  for (const stream of ["stdout", "stderr"] as const) {
    readLines(child[stream], (line) => {
      if (isHeld) held.push(() => onLine(line, stream));
      else onLine(line, stream);
    });
  }
  return (isPassedOn) => {
    isHeld = false;
    if (isPassedOn) for (const passOn of held) passOn();
  };
}

function readLines(stream: Readable | null, onLine: (line: string) => void): void {
  let rest = "";
  stream?.setEncoding("utf8").on("data", (text: string) => {
    const lines = (rest + text).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) onLine(line);
  });
  stream?.on("end", () => {
    if (rest !== "") onLine(rest);
  });
}

function recordOf(dataDirectory: string): string {
  return join(dataDirectory, "workerd.pid");
}

function recordedPid(dataDirectory: string): number | undefined {
  try {
    const pid = Number(readFileSync(recordOf(dataDirectory), "utf8"));
    return pid > 1 ? pid : undefined;
  } catch {
    return undefined;
  }
}

/** Of all programs, only the workerd of a data directory has this on its command line. */
function objectsArgument({ objects }: Pick<DataFolders, "objects">): string {
  return `--directory-path=${names.objects}=${objects}`;
}

/** Pid of the workerd that serves this data directory; undefined if none does. */
export function workerdPid(dataDirectory: string): number | undefined {
  const pid = recordedPid(dataDirectory);
  if (pid === undefined) return undefined;
  // The pid may have gone to another process since, this one included, or is of a directory that this one was copied
  // from: the command line tells.
  const isOwn = commandOf(pid)?.includes(` ${objectsArgument(foldersOf(dataDirectory))} `);
  return isOwn ? pid : undefined;
}

/**
 * Ends the workerd that a killed server left running on this data directory, and waits until it is gone.
 * To be called by the holder of the directory's lock.
 *
 * @returns false if it is still running
 */
export async function endLeftOver(dataDirectory: string): Promise<boolean> {
  const recorded = recordedPid(dataDirectory);
  if (recorded === undefined) return true;
  const pid = workerdPid(dataDirectory);
  if (pid !== undefined) {
    signal(pid, "SIGKILL");
    return await hasEnded(pid, killTimeoutMs);
  }
  // A process that is ending has no command line any more, but may have the port for a moment.
  if (commandOf(recorded) === undefined) await hasEnded(recorded, endingMs);
  return true;
}

/** Removes the record of a workerd that has ended. */
export function forgetWorkerd(dataDirectory: string): void {
  removeIfPossible(recordOf(dataDirectory));
}
