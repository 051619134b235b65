/** wrangler.toml as Miniflare's options: the Worker as it is deployed, for tests and benchmarks. */
import { mkdirSync } from "node:fs";
import { join, resolve } from "node:path";
import type { Readable, Writable } from "node:stream";
import { type Request, Response, type SharedOptions, type WorkerOptions } from "miniflare";
import { openFiles } from "../../../src/local/fsync-service.ts";
import { localVariables } from "../../../src/local/variables.ts";
import { readWranglerOptions } from "../../../src/local/workerd/wrangler-options.ts";
import type { Machine } from "../../../src/machine.ts";
import type { Variables } from "../../../src/settings/settings.ts";

/** Where blobs are kept: in files, as on one machine, or in Miniflare's R2. */
export type BucketKind = "disk" | "r2";

/** What wrangler.toml leaves open. */
export interface LocalOptions {
  /** The bundled Worker, from `buildWorker`. */
  script: string;
  /** Variables, on top of wrangler.toml's. Without a credential among them the registry is open. */
  vars?: Variables;
  /** Where KV, R2 and the Durable Objects keep their data; in memory if it is not given. */
  dataDirectory?: string | undefined;
  /** Where blobs are kept: in files of the data directory, or in Miniflare's R2, which is what it is if not given. */
  bucket?: BucketKind;
  /** How the work is divided on one machine, where there is no KV; if not given, all is as on the platform. */
  machine?: Machine | undefined;
  /** The address to listen on; 127.0.0.1 if it is not given. */
  host?: string;
  /** The port to listen on; 0, which is any free one, if it is not given. */
  port?: number;
  /** Gets the lines the Worker logs; dropped if it is not given. */
  stdout?: Writable;
  /** Gets the Worker's warnings, errors and uncaught exceptions; the process's own if it is not given. */
  stderr?: Writable;
}

function pass(from: Readable, to: Writable | undefined): void {
  if (to === undefined) {
    from.resume();
    return;
  }
  // A reader that has gone (`npm start | head`) must not block the Worker.
  const discard = () => from.resume();
  to.on("error", discard);
  from.on("close", () => to.off("error", discard));
  from.pipe(to, { end: false });
}

/**
 * The Worker's options: bindings, compatibility date and Durable Object classes as in wrangler.toml.
 * Bindings without an id have their name for one, so that data is found again. `.dev.vars` and `.env`
 * are not read.
 */
export async function workerOptions(
  options: Pick<LocalOptions, "script" | "vars" | "machine" | "host" | "port">,
): Promise<WorkerOptions> {
  const { name, vars, workerOptions: fromConfig } = await readWranglerOptions();
  return {
    ...fromConfig,
    name,
    bindings: { ...localVariables({ ...vars, ...options.vars }), ...tellMachine(options.machine) },
    ...(options.machine !== undefined && { kvNamespaces: {} }),
    serviceBindings: { ...fromConfig.serviceBindings, WEBHOOK_OUTBOUND: publicNetwork },
    modules: [{ type: "ESModule", path: "worker.js", contents: options.script }],
    // Clients connect to the Worker itself. The entry worker that Miniflare puts in front of it compresses
    // answers, which takes their Content-Length from them, and costs two thirds of the requests a second.
    unsafeDirectSockets: [{ host: options.host ?? "127.0.0.1", port: options.port ?? 0 }],
  };
}

/** What the Worker is told of the machine; not by a variable that somebody could set. */
function tellMachine(machine: Machine | undefined): { MACHINE?: string } {
  return machine === undefined ? {} : { MACHINE: JSON.stringify(machine) };
}

/** The way of events to their listeners: none to a private address, whatever name led there. */
const publicNetwork = { network: { allow: ["public"], tlsOptions: { trustBrowserCas: true } } };

/** The bindings of a blob store on files in a directory, which is made if it is not there. */
function diskBindings(directory: string): NonNullable<WorkerOptions["serviceBindings"]> {
  mkdirSync(directory, { recursive: true });
  const ask = openFiles(directory);
  return {
    BLOB_FILES: { disk: { path: directory, writable: true } },
    BLOB_FSYNC: async (request: Request) => {
      const { searchParams } = new URL(request.url);
      const { method } = request;
      const { status, body } = await ask({
        method,
        query: searchParams,
        body: await request.text(),
      });
      return new Response(body ?? null, { status });
    },
  };
}

/**
 * The options of a Miniflare with one Worker. It serves at `unsafeGetDirectURL()`, not at `ready`.
 *
 * @example
 * const miniflare = new Miniflare(await miniflareOptions({ script: await buildWorker() }));
 * const url = await miniflare.unsafeGetDirectURL();
 */
export async function miniflareOptions(options: LocalOptions): Promise<SharedOptions & WorkerOptions> {
  const dataDirectory = options.dataDirectory === undefined ? undefined : resolve(options.dataDirectory);
  if (dataDirectory !== undefined) mkdirSync(dataDirectory, { recursive: true });
  const worker = await workerOptions(options);
  if (options.bucket === "disk") {
    if (dataDirectory === undefined) throw new TypeError("a bucket on disk needs a data directory");
    worker.serviceBindings = { ...worker.serviceBindings, ...diskBindings(join(dataDirectory, "files")) };
  }
  return {
    ...worker,
    ...(dataDirectory === undefined ? {} : { defaultPersistRoot: dataDirectory }),
    // Miniflare's own entry, which we do not use.
    host: "127.0.0.1",
    port: 0,
    // Do not ask Cloudflare where this machine is.
    cf: false,
    logRequests: false,
    handleRuntimeStdio: (stdout: Readable, stderr: Readable) => {
      pass(stdout, options.stdout);
      pass(stderr, options.stderr ?? process.stderr);
    },
    unsafeRuntimeEnv: { FORCE_COLOR: "0" },
  };
}
