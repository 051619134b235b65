/** The flags of `stowage serve`, `npm start` and `deno task start`. */
import { readFileSync } from "node:fs";
import { BlockList, isIP } from "node:net";
import { parseArgs } from "node:util";
import type { Rejection, Result } from "../oci/errors.ts";
import {
  parseSettings,
  SettingError,
  type VariableName,
  type Variables,
  variableNames,
} from "../settings/settings.ts";
import { settingTable } from "../settings/table.ts";
import { version } from "../version.ts";
import { messageOf } from "./message-of.ts";
import type { TlsFiles } from "./tls-files.ts";
import { isUpstreamCredential, localVariables, upstreamCredentials } from "./variables.ts";

/** The options of the local server. */
export interface Flags {
  /** As it was given, without the brackets of an IPv6 address. */
  host: string;
  /** 0 is any free port. */
  port: number;
  dataDirectory: string;
  /** Whether others on this machine may read the data directory. */
  isDataShared: boolean;
  /** If present, clients speak TLS. */
  tls?: TlsFiles;
  /** Variables of the Worker, whose values were checked. */
  vars: Variables;
}

/** Flags, a text to print, or one line that says what is wrong. */
export type FlagsResult = Result<{ kind: "flags"; flags: Flags } | { kind: "text"; text: string }, Rejection>;

/** The flags, for the server's help and for completions. */
export const serverFlags = [
  {
    name: "host",
    value: "ADDRESS",
    summary: "where to listen (127.0.0.1); without credentials only on a loopback address",
  },
  { name: "port", value: "PORT", summary: "port to listen on (5000); 0 takes any free one" },
  { name: "data", value: "DIRECTORY", summary: "where the data is kept (.stowage)" },
  {
    name: "allow-shared-data",
    summary: "accepts a data directory that others on this machine can read, or own",
  },
  { name: "tls-cert", value: "FILE", summary: "serves https: the certificate with its chain, in PEM" },
  { name: "tls-key", value: "FILE", summary: "the key of the certificate, in PEM" },
  {
    name: "var",
    value: "NAME=VALUE",
    isRepeatable: true,
    summary: "sets a variable, such as GC_GRACE=1h; may be repeated; `stowage settings` lists them",
  },
  { name: "log", value: "FORM", summary: "text, json or none (text)" },
  { name: "version", summary: "shows which release this is" },
  { name: "help", summary: "shows this" },
] as const;

const options = Object.fromEntries(
  serverFlags.map((flag) => [
    flag.name,
    { type: "value" in flag ? ("string" as const) : ("boolean" as const) },
  ]),
);

const help = `Runs the registry on this machine.

stowage serve [flags]
npm start -- [flags]            (in its sources)
deno task start [flags]

${serverFlags.map(helpLine).join("\n")}

Without a credential everybody may push and pull, from this machine alone. With the
environment variable ADMIN_PASSWORD the account admin has that password, accounts and
tokens can be made, and --host may be any address. METRICS_TOKEN stands there as well,
and UPSTREAM_<ID>_USERNAME and UPSTREAM_<ID>_PASSWORD for the upstreams of UPSTREAMS.
ADMIN_PASSWORD_FILE and METRICS_TOKEN_FILE name files to read them from instead.

Exit codes: 0 told to end, 1 failed, 2 wrong usage; 128 and more: cut off by a second signal.
`;

function helpLine(flag: (typeof serverFlags)[number]): string {
  const usage = "value" in flag ? `--${flag.name} ${flag.value}` : `--${flag.name}`;
  return `${usage.padEnd(21)}${flag.summary}`;
}

const texts: Record<string, string> = { help, version: `stowage ${version}\n` };

/** Variables that must not be on a command line, because every user of the machine can read it. */
const secrets = ["ADMIN_PASSWORD", "METRICS_TOKEN"] as const;

class FlagError extends Error {}

function isVariableName(name: string): name is VariableName {
  return variableNames.some((each) => each === name);
}

function parseVar(text: string): [VariableName, string] {
  const [, name, value] = /^([^=]+)=(.*)$/s.exec(text) ?? [];
  if (name === undefined || value === undefined) {
    throw new FlagError(`--var is ${JSON.stringify(text)}, but must be NAME=VALUE`);
  }
  if (secrets.some((secret) => secret === name) || isUpstreamCredential(name)) {
    throw new FlagError(
      `every user of this machine can read a command line: set the environment variable ${name} instead of --var`,
    );
  }
  if (!isVariableName(name)) {
    throw new FlagError(`there is no variable ${name}; there are ${variableNames.toSorted().join(", ")}`);
  }
  return [name, value];
}

function parsePort(text: string): number {
  const port = /^\d{1,5}$/.test(text) ? Number(text) : Number.NaN;
  if (port <= 65535) return port;
  throw new FlagError(`--port is ${JSON.stringify(text)}, but must be a number from 0 to 65535`);
}

function parseHost(text: string): string {
  const host = text.replace(/^\[(.*)\]$/, "$1");
  if (host === "localhost" || isIP(host) !== 0) return host;
  throw new FlagError(`--host is ${JSON.stringify(text)}, but must be an IP address or localhost`);
}

function parse(args: readonly string[], environment: NodeJS.ProcessEnv): FlagsResult {
  // npm removes the -- between its flags and ours; deno task does not.
  const own = args[0] === "--" ? args.slice(1) : [...args];
  const { tokens } = parseArgs({ args: own, options, strict: false, allowPositionals: true, tokens: true });
  const values = {
    host: "127.0.0.1",
    port: "5000",
    data: ".stowage",
    "tls-cert": "",
    "tls-key": "",
  };
  const vars: Variables = { LOG_FORMAT: "text" };
  let isDataShared = false;
  for (const name of secrets) {
    const secret = secretOf(name, environment);
    if (secret !== undefined) vars[name] = secret;
  }
  Object.assign(vars, upstreamCredentials(environment));
  for (const token of tokens) {
    if (token.kind !== "option") {
      const text = token.kind === "positional" ? token.value : "--";
      throw new FlagError(`cannot make sense of ${JSON.stringify(text)}; --help shows the flags`);
    }
    const { name, rawName, value } = token;
    if (!Object.hasOwn(options, name))
      throw new FlagError(`there is no flag ${rawName}; --help shows the flags`);
    const text = texts[name];
    if (text !== undefined) return { ok: true, kind: "text", text };
    if (name === "allow-shared-data") {
      if (value !== undefined) throw new FlagError(`${rawName} takes no value`);
      isDataShared = true;
      continue;
    }
    if (value === undefined || value === "") throw new FlagError(`${rawName} needs a value`);
    if (Object.hasOwn(values, name)) {
      values[name as keyof typeof values] = value;
    } else {
      const [variable, setting] = name === "log" ? parseLog(value) : parseVar(value);
      vars[variable] = setting;
    }
  }
  const tls = tlsFiles(values["tls-cert"], values["tls-key"]);
  // The Worker itself never sees TLS.
  const settings = localVariables(tls === undefined ? vars : { PUBLIC_SCHEME: "https", ...vars });
  parseSettings(settings);
  const host = parseHost(values.host);
  if (settings.ACCESS === "open" && !isLoopback(host)) {
    throw new FlagError(
      `without ADMIN_PASSWORD everybody may push and pull, so it listens only on loopback, and ${host} is not`,
    );
  }
  const port = parsePort(values.port);
  const flags: Flags = { host, port, dataDirectory: values.data, isDataShared, vars: settings };
  if (tls !== undefined) flags.tls = tls;
  return { ok: true, kind: "flags", flags };
}

/** A secret: the variable of this name, or what is in the file that NAME_FILE names, without the end of its line. */
function secretOf(name: string, environment: NodeJS.ProcessEnv): string | undefined {
  const value = environment[name] || undefined;
  const file = environment[`${name}_FILE`] || undefined;
  if (file === undefined) return value;
  if (value !== undefined) throw new FlagError(`there are both ${name} and ${name}_FILE: set one of them`);
  let text: string;
  try {
    text = readFileSync(file, "utf8").replace(/\r?\n$/, "");
  } catch (error) {
    throw new FlagError(`the file that ${name}_FILE names cannot be read: ${messageOf(error)}`);
  }
  // An empty password would mean that there is none, and the registry open.
  if (text === "") throw new FlagError(`the file that ${name}_FILE names is empty`);
  return text;
}

function tlsFiles(certFile: string, keyFile: string): TlsFiles | undefined {
  if (certFile !== "" && keyFile !== "") return { certFile, keyFile };
  if (certFile === "" && keyFile === "") return undefined;
  throw new FlagError(
    certFile === "" ? "--tls-key needs --tls-cert as well" : "--tls-cert needs --tls-key as well",
  );
}

function parseLog(text: string): [VariableName, string] {
  const { expects, parse } = settingTable.logFormat.type;
  if (!parse(text).ok) throw new FlagError(`--log is ${JSON.stringify(text)}, but must be ${expects}`);
  return ["LOG_FORMAT", text];
}

/**
 * Parses the command line and validates all of it, the variables included.
 *
 * @param args the arguments after the program's name
 * @param environment the environment, which may contain secrets
 */
export function parseFlags(
  args: readonly string[],
  environment: NodeJS.ProcessEnv = process.env,
): FlagsResult {
  try {
    return parse(args, environment);
  } catch (error) {
    if (!(error instanceof FlagError) && !(error instanceof SettingError)) throw error;
    return { ok: false, reason: error.message };
  }
}

/** Whether only programs on this machine can reach the address: 127.0.0.0/8, ::1 and localhost. */
export function isLoopback(host: string): boolean {
  const loopback = new BlockList();
  loopback.addSubnet("127.0.0.0", 8, "ipv4");
  loopback.addAddress("::1", "ipv6");
  return host === "localhost" || loopback.check(host, isIP(host) === 6 ? "ipv6" : "ipv4");
}
