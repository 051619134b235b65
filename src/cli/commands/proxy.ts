/** `proxy` */
import { readFile } from "node:fs/promises";
import { systemFetch } from "../../client/node.ts";
import { defaultChunkBytes } from "../../client/push-blob.ts";
import { Transport } from "../../client/transport.ts";
import { isLoopbackHost, parseOrigin } from "../../oci/address.ts";
import { version } from "../../version.ts";
import { type Command, exitCodes, type FlagValues, type Invocation } from "../command.ts";
import { CommandError, UsageError } from "../errors.ts";
import { quote, sizeBytes } from "../format.ts";
import { Layers } from "../layers.ts";
import { credentialFor, loginFlags } from "../login.ts";
import { formatBytes } from "../progress.ts";
import { Addresses } from "../proxy/addresses.ts";
import { ChunkBuffers } from "../proxy/buffers.ts";
import { KnownUploads } from "../proxy/known-uploads.ts";
import { runOnce } from "../proxy/once.ts";
import { RegistryProxy } from "../proxy/proxy.ts";
import { type ListenOptions, listen } from "../proxy/server.ts";

const defaultListen = "127.0.0.1:5001";
/** The platform's limit of a request, less some room for headers. */
const maxChunkBytes = 90_000_000;
const minChunkBytes = 64 * 1024;

/** Pushes layers of any size through a limit on the size of requests. */
export const proxyCommands: Command[] = [
  {
    name: "proxy",
    arguments: [],
    isOfAnyRegistry: true,
    flags: [
      { name: "to", value: "URL", summary: "the registry that is passed on to" },
      { name: "listen", value: "HOST:PORT", summary: `where clients push to (${defaultListen})` },
      {
        name: "chunk",
        value: "SIZE",
        summary: "how much goes in one request, such as 50MB: 90MB at most (32MiB)",
      },
      ...loginFlags,
      { name: "ca", value: "FILE", summary: "certificates that are trusted besides, in PEM" },
      { name: "allow-remote", summary: "other machines may reach it, over TLS; clients log in themselves" },
      { name: "tls-cert", value: "FILE", summary: "the certificate that it shows, in PEM" },
      { name: "tls-key", value: "FILE", summary: "the key of --tls-cert" },
      {
        name: "once",
        takesRest: true,
        value: "COMMAND…",
        summary: "runs a command meanwhile, and ends with its exit code",
      },
    ],
    summary: "lets any client push layers of any size, by sending them in chunks",
    details:
      "What is pushed to and pulled from 127.0.0.1:5001/team/app:v1 is team/app:v1 of the registry. With credentials of its own (of a flag, or as docker is logged in) clients need none: then every user of this machine may push with them.",
    run: serve,
  },
];

async function serve(call: Invocation): Promise<number> {
  const { flags, output, environment, stderr } = call;
  const registry = registryOf(flags.text("to"));
  const isRemote = flags.has("allow-remote");
  const listening = await listenOptions(flags, isRemote);
  const chunkBytes = chunkOf(flags.text("chunk"));
  const command = flags.rest("once");
  if (flags.has("once") && command.length === 0) throw new UsageError("--once needs a command");
  const credential = isRemote
    ? refuseLogin(flags)
    : await credentialFor(registry, flags, environment, call.readSecret);
  const transport = new Transport({
    registry,
    credentials: async () => credential,
    fetch: systemFetch({ ca: await fileOf(flags.text("ca")) }),
    userAgent: `stowage/${version}`,
  });
  await checkRegistry(transport, credential !== undefined);
  const note = (message: string) => output.note(`stowage: ${message}`);
  const proxy = new RegistryProxy({
    transport,
    buffers: new ChunkBuffers(chunkBytes),
    known: new KnownUploads(),
    layers: new Layers(stderr, flags.has("once")),
    note,
    addresses: new Addresses(registry),
    hasCredentials: credential !== undefined,
    isRemote,
    scheme: listening.tls === undefined ? "http" : "https",
  });
  const port = await listen((request, response) => void proxy.handle(request, response), listening).catch(
    (error: unknown) => {
      throw new CommandError(`cannot listen: ${error instanceof Error ? error.message : error}`);
    },
  );
  const who = credential === undefined ? "clients log in themselves" : "with credentials of its own";
  note(`${port.host} stands for ${registry.href}: chunks of ${formatBytes(chunkBytes)}, ${who}`);
  try {
    if (flags.has("once")) return await runOnce(command, { STOWAGE_PROXY: port.host });
    await untilTold();
    return exitCodes.done;
  } finally {
    await port.close();
  }
}

/** Checks, before any client connects, that the address is a registry and that it accepts the credentials. */
async function checkRegistry(transport: Transport, hasCredentials: boolean): Promise<void> {
  const authorization = hasCredentials ? undefined : "";
  const response = await transport.send({ method: "GET", target: "v2/", authorization });
  await response.body?.cancel();
  const { status } = response;
  if (status === 200 || (status === 401 && !hasCredentials)) return;
  const { host } = transport.registry;
  if (status === 401) throw new CommandError(`${host} does not let these credentials in`, status);
  const what = `${host} does not answer as a registry does (status ${status})`;
  throw new CommandError(`${what}: is --to right?`, status);
}

function registryOf(text: string | undefined): URL {
  if (text === undefined) throw new UsageError("proxy needs --to: the address of the registry");
  const url = URL.parse(text.includes("://") ? text : `https://${text}`);
  const isHttp = url?.protocol === "http:" || url?.protocol === "https:";
  if (url === null || !isHttp || url.username !== "" || url.password !== "" || url.search !== "") {
    throw new UsageError(`${quote(text)} is no address of a registry, such as https://registry.example.org`);
  }
  return url;
}

async function listenOptions(flags: FlagValues, isRemote: boolean): Promise<ListenOptions> {
  const text = flags.text("listen") ?? defaultListen;
  const url = /:\d+$/.test(text) ? parseOrigin(`http://${text}`) : undefined;
  if (url === undefined) throw new UsageError(`${quote(text)} is no HOST:PORT, such as ${defaultListen}`);
  const [cert, key] = [await fileOf(flags.text("tls-cert")), await fileOf(flags.text("tls-key"))];
  if ((cert === undefined) !== (key === undefined))
    throw new UsageError("--tls-cert and --tls-key go together");
  if (!isRemote && !isLoopbackHost(url.hostname)) {
    throw new UsageError(`${text} is reached by other machines: --allow-remote says that it is meant`);
  }
  if (isRemote && cert === undefined) {
    throw new UsageError(
      "--allow-remote needs --tls-cert and --tls-key: what clients push, and log in with, would go unencrypted",
    );
  }
  const host = url.hostname.replace(/^\[(.*)\]$/, "$1");
  const port = Number(/:(\d+)$/.exec(text)?.[1]);
  return { host, port, tls: cert === undefined || key === undefined ? undefined : { cert, key } };
}

/** Clients on other machines must not push with the credentials of the proxy's user. */
function refuseLogin(flags: FlagValues): undefined {
  if (!flags.has("username") && !flags.has("password-stdin")) return undefined;
  throw new UsageError("with --allow-remote clients log in themselves: --username would let everybody in");
}

function chunkOf(text: string | undefined): number {
  const bytes = text === undefined ? defaultChunkBytes : sizeBytes(text);
  if (bytes >= minChunkBytes && bytes <= maxChunkBytes) return bytes;
  throw new UsageError(`--chunk ${text} is out of range: from 64KiB to 90MB`);
}

async function fileOf(path: string | undefined): Promise<string | undefined> {
  return path === undefined ? undefined : await readFile(path, "utf8");
}

/** Waits for Ctrl-C, or for a supervisor's word. */
async function untilTold(): Promise<void> {
  await new Promise<void>((resolve) => {
    for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => resolve());
  });
}
