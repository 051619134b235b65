import assert from "node:assert/strict";
import test from "node:test";
import { commands } from "../../src/cli/commands.ts";
import { durationSeconds, isWithin, parseGrant } from "../../src/cli/format.ts";
import { formatTable } from "../../src/cli/output.ts";
import { version } from "../../src/version.ts";
import { assertRefused, call } from "./command-line.ts";

test("every command explains itself, alone, in its group and among all", async () => {
  const all = await call(["--help"]);
  assert.deepEqual(await call(["help"]), all);
  assert.equal(all.code, 0);
  for (const command of commands) {
    const { name, arguments: args, isLastOptional = false, areAllOptional = false } = command;
    const { flags, readsItself = false } = command;
    const isOptional = (at: number) => areAllOptional || (isLastOptional && at === args.length - 1);
    const shown = args.map((each, at) => (isOptional(at) ? `[${each}]` : each));
    assert(`\n${all.stdout}`.includes(`\n${[name, ...shown].join(" ")}`), name);
    const [group = ""] = name.split(" ");
    if (readsItself) continue;
    const ofGroup = await call([group, "--help"]);
    assert(ofGroup.stdout.includes(name), name);
    const own = await call([...name.split(" "), "--help", "whatever"]);
    assert.deepEqual([own.code, own.stderr], [0, ""]);
    for (const flag of flags) assert(own.stdout.includes(`--${flag.name}`), flag.name);
  }
});

test("it says which release it is, whatever else is said", async () => {
  for (const args of [["--version"], ["account", "list", "--version"], ["acount", "--version"]]) {
    assert.deepEqual(await call(args), { code: 0, stdout: `stowage ${version}\n`, stderr: "" });
  }
});

const noSuch = "http://127.0.0.1:9/";

const wrong: [args: string[], message: RegExp, environment?: Record<string, string>][] = [
  [
    [],
    /a command is needed; there are serve, settings, health, account, token, repo, tag, manifest, policy, search, webhook, explain, audit, keys, gc, usage, scrub, .*, and --help$/m,
  ],
  [["acount"], /there is no command "acount"; /],
  [["account"], /: account needs one of list, show, create, set, delete$/m],
  [["account", "remove"], /there is no account "remove"; account needs /],
  [["account", "list", "x"], /account list takes no arguments; /],
  [["token", "delete", "ci"], /token delete takes ACCOUNT ID; /],
  [["account", "list", "--jsno"], /there is no flag --jsno; /],
  [["account", "list", "--grant", "a:pull"], /there is no flag --grant; /],
  [["account", "list", "--json=yes"], /--json takes no value$/m],
  [["account", "list", "--url"], /--url needs a value$/m],
  [["account", "list", "--url", "a", "--url", "b"], /--url is given twice$/m],
  [["account", "list", "--url", "localhost:5000"], /the address "localhost:5000" is none; /],
  [["account", "list", "--url", "http://a:b@c/"], /a password has no place in --url/],
  [["account", "list", "--user", "x"], /the password of x is needed: /],
  [["account", "list"], /the password of x is needed: /, { STOWAGE_USER: "x" }],
  [["account", "list", "--user", "a:b"], /has a colon/],
  [["account", "list", "--password-stdin"], /there is no password on stdin$/m],
  [["account", "show", ".."], /"\.\." is no name: /],
  [["account", "show", "a/b"], /"a\/b" is no name: /],
  [["account", "set", "a"], /there is nothing to change; /],
  [["account", "set", "a", "--enable", "--disable"], /exclude each other$/m],
  [["account", "set", "a", "--grant", "a:pull", "--add-grant", "b:pull"], /--grant replaces all grants/],
  [["account", "create", "a", "--grant", "a"], /"a" is no grant; /],
  [["account", "create", "a", "--password-stdin-for-account", "--password-stdin"], /only one password /],
  [["account", "create", "a", "--password-stdin-for-account", "--generate-password"], /either given or /],
  [["token", "create", "a"], /--description is needed: /],
  [["token", "create", "a", "--description", "x", "--expires", "soon"], /"soon" is no duration; /],
  [["repo", "public", "../a"], /"\.\.\/a" is no name of a repository, /],
  [["repo", "delete", "a"], /all its images: repeat it with --yes$/m],
  [["tag", "delete", "a"], /tag delete takes REPOSITORY TAG…; /],
  [["tag", "delete", "a", "v1", "v2"], /this deletes a:v1, a:v2: repeat it with --yes$/m],
  [["tag", "delete", "a", "v1", "a:v2", "--yes"], /"a:v2" is no tag$/m],
  [["tag", "list", "a", "v1"], /tag list takes REPOSITORY; /],
  [["manifest", "delete", "a", "v1", "--yes"], /"v1" is no digest$/m],
  [["explain", "a", "b", "read"], /"read" is no verb; there are pull, push, delete, admin$/m],
  [["history", "a", "a b"], /"a b" is no tag$/m],
  [["history", "A", "v1"], /"A" is no name of a repository, /],
  [["restore", "a", "sha256:abc"], /"sha256:abc" is no digest$/m],
  [["restore", "a", `sha256:${"a".repeat(64)}`, "--sequence", "1"], /--digest and --sequence are for tags$/m],
  [["restore", "a", "v1", "--sequence", "0"], /"0" is no sequence number$/m],
  [["restore", "a", "v1", "--sequence", "1", "--digest", "x"], /exclude each other$/m],
  [["export"], /export takes DIR; /],
  [["export", "d", "--repository", "A"], /"A" is no name of a repository, /],
  [["audit", "--limit", "0"], /--limit is "0", but must be a number from 1$/m],
];

test("what makes no sense is told in a line, exits with 2, and asks no registry", async () => {
  for (const [args, message, more] of wrong) {
    const isUrlGiven = args.includes("--url");
    const environment = { ...(isUrlGiven ? {} : { STOWAGE_URL: noSuch }), ...more };
    assertRefused(await call(args, environment), 2, message);
  }
});

test("grants and durations are read as they are written", () => {
  assert.deepEqual(parseGrant("team/**:push,pull,push"), { repository: "team/**", verbs: ["push", "pull"] });
  for (const text of ["", ":pull", "a:", "a:pull,", "a:read", "A:pull", "a//b:pull", "a pull"]) {
    assert.throws(() => parseGrant(text), { name: "UsageError" }, text);
  }
  assert.deepEqual(["1s", "2m", "3h", "90d"].map(durationSeconds), [1, 120, 10_800, 7_776_000]);
  for (const text of ["", "0d", "-1d", "1w", "1.5h", "d"]) {
    assert.throws(() => durationSeconds(text), { name: "UsageError" }, text);
  }
});

test("a grant is within others if they allow all of it", () => {
  const cases: [grant: string, others: string[], expected: boolean][] = [
    ["a/b:pull", ["a/**:pull,push"], true],
    ["a/b:pull,push", ["a/*:pull", "**:push"], true],
    ["a/b:pull,delete", ["a/**:pull,push"], false],
    ["a/**:pull", ["a/**:pull"], true],
    ["a/b/**:pull", ["a/**:pull"], true],
    ["a/**:pull", ["a/*:pull"], false],
    ["a/**:pull", ["*/**:pull"], false],
    ["ab/**:pull", ["a/**:pull"], false],
    ["a/*:pull", ["a/b:pull"], false],
    ["a/b-*:pull", ["a/*:pull"], true],
    ["a/*:pull", ["a/b-*:pull"], false],
    ["**:admin", [], false],
  ];
  for (const [grant, others, expected] of cases) {
    assert.equal(isWithin(parseGrant(grant), others.map(parseGrant)), expected, `${grant} in ${others}`);
  }
});

test("what is on stdin is read once: as the password, or as a text", async () => {
  for (const words of [
    ["policy", "set"],
    ["policy", "try"],
    ["repo", "readme", "team/app"],
  ]) {
    const outcome = await call([...words, "-", "--password-stdin", "--url", noSuch], {}, "rules: []\n");
    assertRefused(outcome, 2, /stdin had the password: give that in STOWAGE_PASSWORD$/m);
  }
});

test("a table may have more lines than a function may have arguments", () => {
  const rows = Array.from({ length: 200_000 }, (_, at) => [at === 150_000 ? "long" : "a", "b"]);
  assert.match(formatTable(rows), /^a {5}b\n/);
});

test("what others wrote does not move the terminal's cursor", () => {
  const table = formatTable([
    ["NAME", "TEXT"],
    ["a", "red\u001b[31m\r\n\u202e\u2028é"],
  ]);
  assert.equal(table, "NAME  TEXT\na     red\\u{1b}[31m\\u{d}\\u{a}\\u{202e}\\u{2028}é\n");
});
