/** The local server from its flags to its exit. */
import { constants } from "node:os";
import { parseSettings } from "../settings/settings.ts";
import { type Channels, openChannels } from "./channels.ts";
import { type DataDirectory, DataDirectoryError, openDataDirectory } from "./data-directory.ts";
import { type DataLayout, DataLayoutError, prepareLayout } from "./data-layout.ts";
import { recordDataVersions } from "./data-record.ts";
import { type Flags, parseFlags } from "./flags.ts";
import { serveFsync } from "./fsync-service.ts";
import { messageOf } from "./message-of.ts";
import { whyNotListen } from "./port.ts";
import { type ReverseProxy, startProxy } from "./proxy/proxy.ts";
import { readyLine, readyMessage, urlOf, usableUrl } from "./ready-message.ts";
import { ReserveFile } from "./reserve-file.ts";
import { watchRunner } from "./runner.ts";
import { runtimeLog, serverLine } from "./runtime-log.ts";
import { readTlsFiles, type TlsFiles, TlsFilesError, type TlsIdentity } from "./tls-files.ts";
import { ProgramError, WorkerdError } from "./workerd/errors.ts";
import { endLeftOver } from "./workerd/process.ts";
import { type Runtime, startRuntime } from "./workerd/runtime.ts";

const defaultDrainMs = 30_000;
/** Ctrl-C may arrive twice, from the terminal and from the runner: a second one counts after this. */
const repeatMs = 500;
/** The exit code for a wrong command line, as in programs with getopt. */
const usageExitCode = 2;
const stopSignals = ["SIGINT", "SIGTERM"] as const;

/** The server cannot start; the message says why, in a sentence. */
class StartError extends Error {}

/** Writes a line about the server itself, in the format of the log as soon as that is known. */
let write = (message: string) => process.stderr.write(serverLine("text", message));

function fail(message: string, exitCode = 1): never {
  write(message);
  process.exit(exitCode);
}

/** Whether the message of an error is enough, without its stack. */
function isExplained(error: unknown): error is Error {
  return [StartError, DataDirectoryError, DataLayoutError, TlsFilesError, ProgramError, WorkerdError].some(
    (kind) => error instanceof kind,
  );
}

/** What a server is started with. */
export interface RunOptions {
  /** Returns the program for workerd: its configuration with the Worker in it. */
  program: () => Promise<Uint8Array>;
  /** For tests: how long requests in flight may take to finish once the server is asked to stop. */
  drainMs?: number;
}

/** The state before workerd is started. */
interface Prepared {
  data: DataDirectory;
  layout: DataLayout;
  identity: TlsIdentity | undefined;
  channels: Channels;
}

/** The parts that run once the server is ready. */
interface Running {
  data: DataDirectory;
  runtime: Runtime;
  proxy: ReverseProxy;
  tls: TlsFiles | undefined;
}

/** Makes all checks before workerd is started; each failure is a sentence. */
async function prepare({ host, port, vars, dataDirectory, isDataShared, tls }: Flags): Promise<Prepared> {
  const identity = tls && readTlsFiles(tls);
  if (identity?.warning !== undefined) write(identity.warning);
  const data = openDataDirectory(dataDirectory, { isShared: isDataShared });
  new ReserveFile(data.path, parseSettings(vars).diskReserveBytes).keep((bytes) =>
    write(`the volume of ${data.path} is full: ${bytes} bytes that were reserved for this are freed`),
  );
  if (!(await endLeftOver(data.path))) {
    throw new StartError(`a workerd that was left running on ${data.path} does not end`);
  }
  const obstacle = await whyNotListen(addressOf(host), port);
  if (obstacle !== undefined) {
    throw new StartError(`cannot listen on ${urlOf({ host, port, isTls: tls !== undefined })}: ${obstacle}`);
  }
  const layout = prepareLayout(data.path);
  const laterData = recordDataVersions(data.path);
  if (laterData !== undefined) write(laterData);
  return { data, layout, identity, channels: await openChannels(data.path) };
}

async function serve(flags: Flags, prepared: Prepared, readProgram: RunOptions["program"]): Promise<Running> {
  const { data, layout, identity, channels } = prepared;
  const { vars } = flags;
  const [program] = await Promise.all([
    readProgram(),
    serveFsync(layout.folders.files, channels, (error) =>
      write(`a file could not be kept: ${messageOf(error)}`),
    ),
  ]);
  const runtime = await startRuntime(
    {
      program,
      dataDirectory: data.path,
      folders: layout.folders,
      channels,
      environment: { ...vars, MACHINE: JSON.stringify(layout.machine) },
      onLine: runtimeLog(logFormat(flags), process),
    },
    {
      onRestart: (reason) => write(`workerd ${reason}, and was started again`),
      onFailure: (reason) => fail(`workerd ${reason}, and is not started again`),
    },
  );
  const proxy = await startProxy({
    identity,
    host: addressOf(flags.host),
    port: flags.port,
    upstream: channels.worker,
    files: layout.folders.files,
    secret: channels.secret,
    trustForwarded: vars.TRUST_FORWARDED === "yes",
    warn: (message) => write(message),
  });
  return { data, runtime, proxy, tls: flags.tls };
}

function logFormat({ vars }: Flags): "json" | "text" {
  return vars.LOG_FORMAT === "json" ? "json" : "text";
}

function addressOf(host: string): string {
  return host === "localhost" ? "127.0.0.1" : host;
}

/** Reads the certificate again, for new connections. If it cannot be used, the old one stays. */
function renewCertificate(files: TlsFiles, proxy: ReverseProxy): void {
  try {
    const identity = readTlsFiles(files);
    proxy.renew(identity);
    write(`the certificate was read again${identity.warning === undefined ? "" : `: ${identity.warning}`}`);
  } catch (error) {
    write(`the certificate stays what it was: ${messageOf(error)}`);
  }
}

/**
 * Ends the process at a signal to stop while the server starts: for process 1 of a container, the kernel does not.
 *
 * @returns a function that ends this, and returns whether the certificate is to be read again
 */
function endStartWhenAsked(hasCertificate: boolean): () => boolean {
  let isRenewalDue = false;
  const end = () => process.exit(0);
  const renewLater = () => {
    isRenewalDue = true;
  };
  const onHangUp = hasCertificate ? renewLater : end;
  for (const name of stopSignals) process.on(name, end);
  process.on("SIGHUP", onHangUp);
  return () => {
    for (const name of stopSignals) process.off(name, end);
    process.off("SIGHUP", onHangUp);
    return isRenewalDue;
  };
}

/** Stops on the first signal, or when the runner has ended: gracefully. On the second signal: at once. */
function stopWhenAsked({ data, runtime, proxy, tls }: Running, drainMs: number): void {
  let isAsked = false;
  let mayCutOff = false;
  const end = (exitCode: number) => {
    data.release();
    process.exit(exitCode);
  };
  const stop = async () => {
    const deadline = performance.now() + drainMs;
    const notice = setTimeout(() => {
      mayCutOff = true;
      // Where nobody waits, it is the machine that takes so long.
      if (proxy.hasRequests() && performance.now() < deadline)
        write(`finishing requests in flight, for ${drainMs / 1000} s at most; a second signal cuts them off`);
    }, repeatMs);
    proxy.stopListening();
    const finished = await runtime.stop(drainMs);
    const drained = finished && (await proxy.flush(Math.max(0, Math.ceil(deadline - performance.now()))));
    clearTimeout(notice);
    if (!drained) write("requests that were still in flight have been cut off");
    end(0);
  };
  const ask = async (exitCodeAtOnce: number) => {
    if (!isAsked) {
      isAsked = true;
      await stop();
    } else if (mayCutOff) {
      await runtime.stop(0);
      end(exitCodeAtOnce);
    }
  };
  for (const name of stopSignals) process.on(name, () => void ask(128 + constants.signals[name]));
  process.on("SIGHUP", () => {
    // The end of a terminal stops a server; with a certificate, the signal by convention means to read it again.
    if (tls === undefined) void ask(128 + constants.signals.SIGHUP);
    else renewCertificate(tls, proxy);
  });
  watchRunner(() => {
    if (!isAsked) void ask(1);
  });
}

/**
 * Runs the server until it is told to stop. Prints one line on stderr and exits with 1 if it cannot start, with 2 if the
 * command line is wrong.
 *
 * @param args the command line after the program's name
 */
export async function run(args: readonly string[], options: RunOptions): Promise<void> {
  const parsed = parseFlags(args);
  if (!parsed.ok) fail(parsed.reason, usageExitCode);
  if (parsed.kind === "text") {
    process.stdout.write(parsed.text);
    return;
  }
  const { flags } = parsed;
  const endStart = endStartWhenAsked(flags.tls !== undefined);
  write = (message) => process.stderr.write(serverLine(logFormat(flags), message));
  // The registry still serves after the reader of its output has gone.
  for (const stream of [process.stdout, process.stderr]) stream.on("error", () => {});
  try {
    const prepared = await prepare(flags);
    const running = await serve(flags, prepared, options.program);
    const served = {
      host: flags.host,
      port: running.proxy.port,
      isTls: flags.tls !== undefined,
      name: prepared.identity?.name,
    };
    running.data.announce(usableUrl(served));
    stopWhenAsked(running, options.drainMs ?? defaultDrainMs);
    const isRenewalDue = endStart();
    if (isRenewalDue && flags.tls !== undefined) renewCertificate(flags.tls, running.proxy);
    const isOpen = flags.vars.ACCESS === "open";
    process.stdout.write(flags.vars.LOG_FORMAT === "json" ? readyLine(served) : readyMessage(served, isOpen));
  } catch (error) {
    fail(isExplained(error) ? error.message : `cannot start: ${messageOf(error)}`);
  }
}
