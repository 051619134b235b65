/** What the pages say of the code, held to the code. */
import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join, relative } from "node:path";
import test from "node:test";
import { renderReadme } from "../../scripts/settings-table.ts";
import { families } from "../../src/metrics/families.ts";
import { version } from "../../src/version.ts";

const root = join(import.meta.dirname, "..", "..");
const markdownIn = (folder: string) =>
  readdirSync(join(root, folder))
    .filter((name) => name.endsWith(".md"))
    .map((name) => join(root, folder, name));
const pages = [...markdownIn("."), ...markdownIn("docs")];
const read = (path: string) => readFileSync(path, "utf8");
const textOf = (path: string) => read(join(root, path));

test("the README has the table of settings that the code has", () => {
  assert.equal(textOf("README.md"), renderReadme(), "npm run settings:document writes it");
  assert.match(textOf("README.md"), /^\| `TOKEN_TTL` \| `5m` \| 1s to 1h \| how long a token lives \|$/m);
});

test("the release that the programs name is the package's", () => {
  assert.equal(version, JSON.parse(textOf("package.json")).version);
  assert.equal(version, JSON.parse(textOf("package-lock.json")).version);
});

test("a deploy button asks for the secrets that a deployment needs", () => {
  const [, required = ""] = /^\[secrets\]\nrequired = \[(.*)\]$/m.exec(textOf("wrangler.toml")) ?? [];
  const asked = [...textOf(".dev.vars.example").matchAll(/^(\w+)=/gm)].map(([, name]) => `"${name}"`);
  assert.equal(asked.join(", "), required);
});

test("the page of metrics has every family, with its type and labels, and no other", () => {
  const written = [...textOf("docs/metrics.md").matchAll(/^\| `(stowage_\w+)` \| (\w+) \| ([^|]*)\|/gm)].map(
    ([, name, type, labels]) => [name, type, labels?.trim() ?? ""],
  );
  const counted = Object.entries(families).map(([name, { type, labels }]) => [name, type, labels.join(", ")]);
  assert.deepEqual(written.toSorted(), counted.toSorted());
});

test("the page of logs has every event that the code logs", () => {
  const sources = readdirSync(join(root, "src"), { encoding: "utf8", recursive: true })
    .filter((name) => name.endsWith(".ts"))
    .map((name) => textOf(join("src", name)));
  const logged = sources
    .flatMap((source) => [
      ...source.matchAll(/(?:\bevent: |\blog\("\w+", )(?:\w+ \? )?"([a-z ]+)"(?: : "([a-z ]+)")?/g),
    ])
    .flatMap(([, event, other]) => [event, other])
    .filter((event) => event !== undefined);
  assert(logged.length > 20);
  const page = textOf("docs/logs.md");
  assert.deepEqual(
    logged.filter((event) => !page.includes(`\`${event}\``)),
    [],
  );
});

test("the README leads to every page", () => {
  const readme = textOf("README.md");
  const missing = pages
    .map((page) => relative(root, page))
    .filter((page) => page !== "README.md" && !readme.includes(`](${page}`));
  assert.deepEqual(missing, []);
});

/** Paths that a page names: with a folder, and either an extension of the repository's files or a folder at its top. */
function pathsIn(text: string): string[] {
  const [extensions, tops] = ["ts|json|md|toml|sh|yml", "src|test|docs|bench|scripts|\\.ci|\\.github"];
  const pattern = new RegExp(
    `\`([\\w.-]+(?:/[\\w.-]+)*/[\\w.-]+\\.(?:${extensions})|(?:${tops})/[\\w./-]*)\``,
    "g",
  );
  return Array.from(text.matchAll(pattern), ([, path = ""]) => path);
}

test("every file and folder that a page names exists, below the repository or below src/", () => {
  const named = pages.flatMap((page) =>
    pathsIn(read(page)).map((path) => [relative(root, page), path] as const),
  );
  assert(named.length > 100, "the paths were found");
  const missing = named.filter(
    ([, path]) => !existsSync(join(root, path)) && !existsSync(join(root, "src", path)),
  );
  assert.deepEqual(missing, []);
});

test("the tree of the design names every file and folder at the top of src/, and no other", () => {
  const [, tree = ""] = /^src\/\n((?: {2}.*\n)+)/m.exec(textOf("docs/design.md")) ?? [];
  const named = tree.split("\n").flatMap((line) => /^ {2}([\w.-]+)/.exec(line)?.[1] ?? []);
  assert.deepEqual(named.toSorted(), readdirSync(join(root, "src")).toSorted());
});

test("the prose of pages written by hand is wrapped, so that a diff shows what changed", () => {
  const generated = ["docs/clients.md", "docs/conformance.md", "docs/cost.md"];
  const written = [
    ...pages.map((page) => relative(root, page)),
    "README.md",
    "CONTRIBUTING.md",
    "SECURITY.md",
  ];
  const long = written
    .filter((page) => !generated.includes(page))
    .flatMap((page) => {
      // Code, tables and what cannot be broken stay as they are.
      const prose = textOf(page)
        .replace(/^\s*```.*?^\s*```/gms, "")
        .split("\n");
      return prose
        .filter((line) => line.length > 120 && !/^\s*[|<`]/.test(line))
        .map((line) => `${page}: ${line}`);
    });
  assert.deepEqual(long, []);
});
