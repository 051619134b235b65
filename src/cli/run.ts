/** The command line from its words to its exit code. */
import { createInterface } from "node:readline";
import type { Readable, Writable } from "node:stream";
import { Api } from "./api.ts";
import { adminName, exitCodes, type FlagValues, type Serve } from "./command.ts";
import { Connection } from "./connection.ts";
import { Content } from "./content.ts";
import { isExpected, UsageError } from "./errors.ts";
import { quote } from "./format.ts";
import { Output } from "./output.ts";
import { parse } from "./parse.ts";
import { Progress } from "./progress.ts";

const defaultUrl = "http://127.0.0.1:5000";
const maxSecretBytes = 64 * 1024;

/** The environment of the command line. */
export type Surroundings = {
  environment: Record<string, string | undefined>;
  stdin: Readable;
  stdout: Writable;
  stderr: Writable;
  serve: Serve;
  /** The time, in milliseconds since 1970; without it, that of the machine. */
  now?: () => number;
};

/** Runs a command. Any failure is one line on stderr. */
export async function run(args: readonly string[], around: Surroundings): Promise<number> {
  const progress = new Progress(around.stderr);
  try {
    const parsed = parse(args);
    if (parsed.kind === "text") {
      around.stdout.write(parsed.text);
      return exitCodes.done;
    }
    const { command, flags } = parsed;
    const output = new Output(around.stdout, around.stderr, flags.has("json"));
    const readSecret = () => readLine(around.stdin);
    const confirm = (question: string) => askFor("yes", question, around);
    const who = command.isOfAnyRegistry ? noConnection : await connectionOf(flags, around, output);
    const connection = new Connection(who);
    const [api, content] = [new Api(connection), new Content(connection, who)];
    return await command.run({
      args: parsed.args,
      flags,
      api,
      content,
      output,
      progress,
      environment: around.environment,
      stdin: around.stdin,
      stderr: around.stderr,
      now: around.now ?? Date.now,
      readSecret,
      confirm,
      serve: around.serve,
    });
  } catch (error) {
    progress.end();
    if (!isExpected(error)) throw error;
    new Output(around.stdout, around.stderr, false).note(`stowage: ${error.message}`);
    return error instanceof UsageError ? exitCodes.usage : exitCodes.refused;
  }
}

/** For commands that name the registry themselves. */
const noConnection = { url: new URL(defaultUrl), user: adminName, password: undefined };

async function connectionOf(flags: FlagValues, { environment, stdin }: Surroundings, output: Output) {
  const text = flags.text("url") ?? (environment.STOWAGE_URL || defaultUrl);
  const user = flags.text("user") ?? (environment.STOWAGE_USER || adminName);
  const url = parseUrl(text);
  const isOnStdin = flags.has("password-stdin");
  const isOtherOnStdin = flags.has("password-stdin-for-account") || flags.has("webhook-secret-stdin");
  if (isOnStdin && isOtherOnStdin) {
    throw new UsageError(
      "only one password or secret can be on stdin: give the other one in STOWAGE_PASSWORD",
    );
  }
  const password = isOnStdin ? await readLine(stdin) : environment.STOWAGE_PASSWORD || undefined;
  if (user.includes(":")) throw new UsageError(`the user ${quote(user)} has a colon, which no account has`);
  if (password === undefined && (flags.has("user") || environment.STOWAGE_USER)) {
    throw new UsageError(`the password of ${user} is needed: in STOWAGE_PASSWORD, or with --password-stdin`);
  }
  if (password !== undefined && url.protocol === "http:" && !isLoopback(url.hostname)) {
    output.note(`stowage: the password of ${user} goes to ${url.host} unencrypted, as --url is not https`);
  }
  return { url, user, password };
}

function parseUrl(text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  const isHttp = url?.protocol === "http:" || url?.protocol === "https:";
  if (url === undefined || !isHttp) {
    throw new UsageError(`the address ${quote(text)} is none; write it as ${defaultUrl}`);
  }
  if (url.username !== "" || url.password !== "") {
    throw new UsageError("a password has no place in --url: set STOWAGE_PASSWORD");
  }
  return url;
}

function isLoopback(hostname: string): boolean {
  return hostname === "localhost" || hostname === "[::1]" || /^127\.\d+\.\d+\.\d+$/.test(hostname);
}

/** Asks a question; returns whether the next line on stdin is this word. At the end of stdin it is `false`. */
async function askFor(word: string, question: string, { stdin, stderr }: Surroundings): Promise<boolean> {
  stderr.write(question);
  for await (const line of createInterface({ input: stdin })) return line.trim() === word;
  return false;
}

/** The text on stdin, without the end of its one line. */
async function readLine(stdin: Readable): Promise<string> {
  let text = "";
  for await (const piece of stdin.setEncoding("utf8")) {
    text += piece;
    if (text.length > maxSecretBytes) throw new UsageError("what is on stdin is too long for a password");
  }
  const line = text.replace(/\r?\n$/, "");
  if (line === "") throw new UsageError("there is no password on stdin");
  return line;
}
