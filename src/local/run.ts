/** The local server from its flags to its exit. */
import "./compile-cache.ts";
import { constants } from "node:os";
import { type BucketKind, BucketKindError, settleBucketKind } from "./bucket-kind.ts";
import { type DataDirectory, DataDirectoryError, openDataDirectory } from "./data-directory.ts";
import { type Flags, parseFlags } from "./flags.ts";
import type { Front } from "./front.ts";
import { startFrontThread } from "./front-thread.ts";
import type { Instance } from "./instance.ts";
import { whyNotListen } from "./port.ts";
import { readyMessage, urlOf, usableUrl } from "./ready-message.ts";
import { watchRunner } from "./runner.ts";
import { readTlsFiles, TlsFilesError, type TlsIdentity } from "./tls-files.ts";
import { drainWorkerd, endLeftOver, forgetWorkerd } from "./workerd-process.ts";

const defaultDrainMs = 30_000;
/** Ctrl-C may arrive twice, from the terminal and from the runner: a second signal counts after this. */
const repeatMs = 500;
/** For a command line that makes no sense, as programs with getopt have it. */
const usageExitCode = 2;
const stopSignals = ["SIGINT", "SIGTERM", "SIGHUP"] as const;

/** What keeps the server from starting, in a sentence. */
class StartError extends Error {}

let isStopping = false;

function warn(message: string): void {
  process.stderr.write(`stowage: ${message}\n`);
}

function fail(message: string, exitCode = 1): never {
  warn(message);
  process.exit(exitCode);
}

function messageOf(error: unknown): string {
  // Miniflare hands its configuration to a workerd that has gone.
  if ((error as NodeJS.ErrnoException).code === "EPIPE") return "workerd ends as soon as it is started";
  return error instanceof Error ? error.message : String(error);
}

/** Whether an error says all there is to say. */
function isExplained(error: unknown): error is Error {
  return [StartError, DataDirectoryError, BucketKindError, TlsFilesError].some(
    (kind) => error instanceof kind,
  );
}

interface RunOptions {
  /** The module to serve; src/worker.ts if it is not given. */
  entry?: string;
  /** How long requests in flight may take to finish once the server is asked to stop. */
  drainMs?: number;
}

/** What is there before workerd is started. */
interface Prepared {
  data: DataDirectory;
  bucket: BucketKind;
  identity: TlsIdentity | undefined;
}

/** What runs once the server is ready. */
interface Running {
  data: DataDirectory;
  instance: Instance;
  front: Front;
}

/** Everything that can be wrong before workerd is started, each in a sentence. */
async function prepare({ host, port, dataDirectory, bucket, tls }: Flags): Promise<Prepared> {
  const identity = tls && readTlsFiles(tls);
  if (identity?.warning !== undefined) warn(identity.warning);
  const data = openDataDirectory(dataDirectory);
  if (!(await endLeftOver(data.path))) {
    throw new StartError(`a workerd that was left running on ${data.path} does not end`);
  }
  const obstacle = await whyNotListen(addressOf(host), port);
  if (obstacle !== undefined) {
    throw new StartError(`cannot listen on ${urlOf({ host, port, isTls: tls !== undefined })}: ${obstacle}`);
  }
  return { data, bucket: settleBucketKind(data.path, bucket), identity };
}

async function serve(flags: Flags, prepared: Prepared, entry: string | undefined): Promise<Running> {
  const { data, bucket, identity } = prepared;
  // Loading Miniflare takes half a second, which no error above should have to wait for.
  const { startInstance } = await import("./instance.ts");
  const instance = await startInstance({
    dataDirectory: data.path,
    bucket,
    entry,
    stdout: process.stdout,
    vars: flags.vars,
    onRestart: () => warn("workerd ended unexpectedly, and was started again"),
    onFailure: (error) => {
      if (!isStopping) fail(`workerd ended unexpectedly, and cannot be started again: ${error.message}`);
    },
  });
  try {
    const upstreamPort = Number(new URL(instance.url).port);
    const host = addressOf(flags.host);
    const front = await startFrontThread({ identity, host, port: flags.port, upstreamPort });
    return { data, instance, front };
  } catch (error) {
    await instance.dispose();
    throw error;
  }
}

function addressOf(host: string): string {
  return host === "localhost" ? "127.0.0.1" : host;
}

/** Stops on the first signal, or when the runner has ended: gently. On the second signal: at once. */
function stopWhenAsked({ data, instance, front }: Running, drainMs: number): void {
  let askedAt = 0;
  let isEnding = false;
  const end = async (exitCode: number) => {
    if (isEnding) return;
    isEnding = true;
    await instance.dispose();
    forgetWorkerd(data.path);
    data.release();
    process.exit(exitCode);
  };
  const stop = async () => {
    const notice = setTimeout(() => {
      warn(`finishing requests in flight, for ${drainMs / 1000} s at most; a second signal cuts them off`);
    }, repeatMs);
    const deadline = performance.now() + drainMs;
    front.stopListening();
    const finished = await drainWorkerd(data.path, drainMs);
    const drained = finished && (await front.flush(Math.max(0, Math.ceil(deadline - performance.now()))));
    clearTimeout(notice);
    if (!drained) warn("requests that were still in flight have been cut off");
    await end(0);
  };
  const ask = (exitCodeAtOnce: number) => {
    if (!isStopping) {
      isStopping = true;
      askedAt = performance.now();
      void stop();
    } else if (performance.now() - askedAt >= repeatMs) {
      void end(exitCodeAtOnce);
    }
  };
  for (const name of stopSignals) {
    // Miniflare's own listeners exit without waiting for anything.
    process.removeAllListeners(name);
    process.on(name, () => ask(128 + constants.signals[name]));
  }
  watchRunner(() => {
    if (!isStopping) ask(1);
  });
}

/**
 * Runs the server until it is told to stop. Prints one line on stderr and exits with 1 if it cannot start, with 2 if the
 * command line makes no sense.
 *
 * @param args the command line after the program's name
 * @param options for tests
 */
export async function run(args: readonly string[], options: RunOptions = {}): Promise<void> {
  const parsed = parseFlags(args);
  if (parsed.kind === "error") fail(parsed.message, usageExitCode);
  if (parsed.kind === "text") {
    process.stdout.write(parsed.text);
    return;
  }
  const { flags } = parsed;
  // Where nobody reads the output any more, the registry still serves.
  for (const stream of [process.stdout, process.stderr]) stream.on("error", () => {});
  try {
    const prepared = await prepare(flags);
    const running = await serve(flags, prepared, options.entry);
    const served = {
      host: flags.host,
      port: running.front.port,
      isTls: flags.tls !== undefined,
      name: prepared.identity?.name,
    };
    running.data.announce(usableUrl(served));
    stopWhenAsked(running, options.drainMs ?? defaultDrainMs);
    process.stdout.write(readyMessage(served, flags.vars.ACCESS === "open"));
  } catch (error) {
    fail(isExplained(error) ? error.message : `cannot start: ${messageOf(error)}`);
  }
}
