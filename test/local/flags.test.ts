import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import test from "node:test";
import { type Flags, isLoopback, parseFlags } from "../../src/local/flags.ts";
import { roleOf } from "../../src/local/runner.ts";
import { version } from "../../src/version.ts";
import { temporaryDirectory } from "./program.ts";

const defaults: Flags = {
  host: "127.0.0.1",
  port: 5000,
  dataDirectory: ".stowage",
  isDataShared: false,
  vars: {
    ACCESS: "open",
    ADDRESS_HEADER: "Stowage-Client-Address",
    METRICS_SCOPE: "process",
    LOG_FORMAT: "text",
  },
};

/** The variables, where these differ from the defaults. */
const withVars = (vars: Flags["vars"]) => ({ vars: { ...defaults.vars, ...vars } });

const accepted: [args: string[], difference: Partial<Flags>][] = [
  [[], {}],
  [["--"], {}],
  [["--port", "0"], { port: 0 }],
  [["--", "--port", "5001"], { port: 5001 }],
  [["--port=65535", "--host=::1"], { port: 65535, host: "::1" }],
  [["--host", "[::1]"], { host: "::1" }],
  [["--host", "localhost", "--data", "/a b"], { host: "localhost", dataDirectory: "/a b" }],
  [["--allow-shared-data"], { isDataShared: true }],
  [["--log", "json"], withVars({ LOG_FORMAT: "json" })],
  [["--var", "LOG_FORMAT=none"], withVars({ LOG_FORMAT: "none" })],
  [["--var", "GC_GRACE=1h", "--var=ACCESS=closed"], withVars({ ACCESS: "closed", GC_GRACE: "1h" })],
  [
    ["--tls-key=b.key", "--tls-cert", "a.crt"],
    { ...withVars({ PUBLIC_SCHEME: "https" }), tls: { certFile: "a.crt", keyFile: "b.key" } },
  ],
];

test("flags that make sense are parsed", () => {
  for (const [args, difference] of accepted) {
    assert.deepEqual(parseFlags(args), { ok: true, kind: "flags", flags: { ...defaults, ...difference } });
  }
});

const refused: [args: string[], message: RegExp][] = [
  [["--prot", "1"], /^there is no flag --prot; /],
  [["-p", "1"], /^there is no flag -p; /],
  [["--constructor", "1"], /^there is no flag --constructor; /],
  [["5000"], /^cannot make sense of "5000"; /],
  [["--port", "1", "--", "--data", "x"], /^cannot make sense of "--"; /],
  [["--port"], /^--port needs a value$/],
  [["--data="], /^--data needs a value$/],
  [["--tls-cert", "a.crt"], /^--tls-cert needs --tls-key as well$/],
  [["--tls-key", "a.key"], /^--tls-key needs --tls-cert as well$/],
  [["--port", "65536"], /^--port is "65536", but must be a number from 0 to 65535$/],
  [["--port", "1e3"], /^--port is "1e3", but must be /],
  [["--host", "example.com"], /^--host is "example.com", but must be /],
  [["--host", "0.0.0.0"], /^without ADMIN_PASSWORD .* only on loopback, and 0.0.0.0 is not$/],
  [
    ["--var", "ADMIN_PASSWORD=a long enough password"],
    /^every user of this machine can read a command line: set the environment variable ADMIN_PASSWORD instead of --var$/,
  ],
  [["--allow-shared-data=yes"], /^--allow-shared-data takes no value$/],
  [["--log", "xml"], /^--log is "xml", but must be one of json, text, none$/],
  [["--var", "GC_GRACE"], /^--var is "GC_GRACE", but must be NAME=VALUE$/],
  [["--var", "GC_GARCE=1h"], /^there is no variable GC_GARCE; there are ACCESS, /],
  [["--var", "GC_GRACE=soon"], /^GC_GRACE is "soon", but must be a duration such as /],
];

test("flags that make no sense get one line that says why", () => {
  for (const [args, message] of refused) {
    const result = parseFlags(args);
    assert(!result.ok, args.join(" "));
    assert.match(result.reason, message);
    assert.doesNotMatch(result.reason, /\n/);
  }
});

test("--help and --version win over the flags before them", () => {
  const help = parseFlags(["--port", "1", "--help"]);
  assert(help.ok && help.kind === "text");
  assert.match(help.text, /--port PORT .*--version .*Exit codes: /s);
  assert.deepEqual(parseFlags(["--port", "x", "--version"]), {
    ok: true,
    kind: "text",
    text: `stowage ${version}\n`,
  });
});

test("secrets come from the environment, and one that is too short is refused without being told", () => {
  const accepted = parseFlags(["--host", "0.0.0.0"], { ADMIN_PASSWORD: "twelve chars" });
  assert(accepted.ok);
  for (const host of ["127.0.0.1", "0.0.0.0"]) {
    assert.deepEqual(parseFlags(["--host", host], { ADMIN_PASSWORD: "eleven char" }), {
      ok: false,
      reason: "ADMIN_PASSWORD is wrong: it has 11 characters, and must have at least 12",
    });
  }
});

test("loopback is 127.0.0.0/8, ::1 and localhost", () => {
  for (const host of ["127.0.0.1", "127.255.255.254", "::1", "localhost"]) assert(isLoopback(host), host);
  for (const host of ["0.0.0.0", "::", "128.0.0.1", "10.0.0.1", "fe80::1"]) assert(!isLoopback(host), host);
});

const commands: [command: string, role: ReturnType<typeof roleOf>][] = [
  ["npm start --port 5001", "npm"],
  ["npm exec deno task start", "npm"],
  ["node /usr/local/bin/npm start", "npm"],
  ["/usr/bin/node /opt/lib/pnpm.cjs start", "npm"],
  ["deno task start", "deno task"],
  ["/work/node_modules/.bin/deno --quiet task start", "deno task"],
  ["sh -c node src/local/main.ts", "shell"],
  ["/bin/bash -c npm start", "shell"],
  ["bash", undefined],
  ["-zsh", undefined],
  ["deno run -A src/local/main.ts", undefined],
  ["node test.ts npm", undefined],
];

test("a runner and its shell are told by their command lines", () => {
  for (const [command, role] of commands) assert.equal(roleOf(command), role, command);
});

test("a secret is read from a file that its variable names, without the end of its line", (t) => {
  const file = join(temporaryDirectory(t), "secret");
  writeFileSync(file, "correct horse battery staple\n");
  // docker compose sets a variable to nothing that it was given no value for.
  const parsed = parseFlags([], {
    ADMIN_PASSWORD: "",
    ADMIN_PASSWORD_FILE: file,
    METRICS_TOKEN_FILE: file,
  });
  assert(parsed.ok && parsed.kind === "flags");
  const { ACCESS, ADMIN_PASSWORD, METRICS_TOKEN } = parsed.flags.vars;
  const secret = "correct horse battery staple";
  assert.deepEqual([ACCESS, ADMIN_PASSWORD, METRICS_TOKEN], ["closed", secret, secret]);
});

test("a file without a secret does not leave the registry open", (t) => {
  const file = join(temporaryDirectory(t), "secret");
  writeFileSync(file, "\n");
  for (const [environment, message] of [
    [{ ADMIN_PASSWORD_FILE: file }, /^the file that ADMIN_PASSWORD_FILE names is empty$/],
    [{ ADMIN_PASSWORD_FILE: `${file}s` }, /^the file that ADMIN_PASSWORD_FILE names cannot be read: ENOENT/],
    [
      { ADMIN_PASSWORD: "correct horse battery staple", ADMIN_PASSWORD_FILE: file },
      /^there are both ADMIN_PASSWORD and ADMIN_PASSWORD_FILE: set one of them$/,
    ],
  ] as const) {
    const result = parseFlags([], environment);
    assert(!result.ok);
    assert.match(result.reason, message);
  }
});
