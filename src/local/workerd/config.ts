/**
 * workerd's configuration for one machine (workerd.capnp describes it). It holds what follows from wrangler.toml and the
 * Worker; paths, sockets and variables are of one server, and come when it starts: on the command line and in the
 * environment.
 */
import { variableNames } from "../../settings/settings.ts";

/** The socket, services and directories that a start gives addresses and paths to. */
export const names = {
  /** Where the Worker answers HTTP. */
  socket: "http",
  /** The SQLite files of the Durable Objects. */
  objects: "objects",
  /** The files of blobs. */
  files: "files",
  /** The server's own process, which does what workerd's disk service does not. */
  fsync: "fsync",
} as const;

/** What the configuration is made of. */
export interface WorkerdConfig {
  /** The Worker's name, by which data directories know its objects. */
  name: string;
  /** The file of the Worker's module, beside the configuration. */
  module: string;
  compatibilityDate: string;
  compatibilityFlags: readonly string[];
  /** The class of objects that each binding reaches. */
  objectClasses: Readonly<Record<string, string>>;
}

/** Objects that there are only a few of stay in memory: to open and close one is a dozen fsyncs. */
const staysInMemory = new Set([
  "Upload",
  "Blobs",
  "Catalog",
  "NameIndex",
  "Search",
  "Webhooks",
  "WebhookQueue",
  "Fetch",
  "Upstream",
]);

/**
 * The last three hold the credentials for upstreams, describe the data directory, and hold the secret that requests of
 * the local server carry.
 */
const fromEnvironment = [...variableNames, "UPSTREAM_CREDENTIALS", "MACHINE", "CHANNEL_SECRET"];

/**
 * V8 collects garbage on the main thread alone. Its collector for C++ objects otherwise waits for the threads of V8's
 * pool, of which there is one on two cores; and if that one waits for a collection by the main thread, as the compiler
 * on it may, both wait for ever: workerd uses a whole core and answers nothing any more.
 */
export const v8Flags = ["--single-threaded-gc"];

/** The configuration, as text. It takes no `--experimental`. */
export function workerdConfig(config: WorkerdConfig): string {
  const bindings = [
    ...fromEnvironment.map((name) => `(name = ${quote(name)}, fromEnvironment = ${quote(name)})`),
    ...Object.entries(config.objectClasses).map(
      ([binding, className]) => `(name = ${quote(binding)}, durableObjectNamespace = ${quote(className)})`,
    ),
    `(name = "BLOB_FILES", service = ${quote(names.files)})`,
    `(name = "BLOB_FSYNC", service = ${quote(names.fsync)})`,
    `(name = "WEBHOOK_OUTBOUND", service = "public")`,
  ];
  const namespaces = Object.values(config.objectClasses).map(
    (className) =>
      `(className = ${quote(className)}, uniqueKey = ${quote(`${config.name}-${className}`)}, enableSql = true, ` +
      `preventEviction = ${staysInMemory.has(className)})`,
  );
  return `using Workerd = import "/workerd/workerd.capnp";

const config :Workerd.Config = (
  services = [
    (name = "worker", worker = .worker),
    (name = ${quote(names.objects)}, disk = (path = "/nonexistent", writable = true)),
    (name = ${quote(names.files)}, disk = (path = "/nonexistent", writable = true)),
    (name = ${quote(names.fsync)}, external = (address = "unix:/nonexistent", http = ())),
    # What the Worker fetches by itself: the keys of token services, which may be on a private network.
    (name = "internet", network = (allow = ["public", "private"], tlsOptions = (trustBrowserCas = true))),
    # The way of events to their listeners, whatever name led there.
    (name = "public", network = (allow = ["public"], tlsOptions = (trustBrowserCas = true))),
  ],
  sockets = [(name = ${quote(names.socket)}, address = "unix:/nonexistent", http = (), service = "worker")],
  v8Flags = ${list(v8Flags.map(quote))},
);

const worker :Workerd.Worker = (
  modules = [(name = "worker.js", esModule = embed ${quote(config.module)})],
  compatibilityDate = ${quote(config.compatibilityDate)},
  compatibilityFlags = ${list(config.compatibilityFlags.map(quote))},
  bindings = ${list(bindings)},
  durableObjectNamespaces = ${list(namespaces)},
  durableObjectStorage = (localDisk = ${quote(names.objects)}),
);
`;
}

function list(items: string[]): string {
  return items.length === 0 ? "[]" : `[\n    ${items.join(",\n    ")},\n  ]`;
}

/** Cap'n Proto's text has the escapes of C, of which JSON's are some. */
function quote(text: string): string {
  return JSON.stringify(text);
}
