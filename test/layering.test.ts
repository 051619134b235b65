/** The shape of src/, as docs/design.md asks for it. */
import assert from "node:assert/strict";
import { globSync, readFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import test from "node:test";

const source = join(import.meta.dirname, "..", "src");

type Import = { from: string; to: string };
type File = { path: string; text: string; code: string; imports: Import[] };

const files: File[] = globSync("**/*.{ts,tsx}", { cwd: source })
  .sort()
  .map((path) => {
    const text = readFileSync(join(source, path), "utf8");
    return { path, text, code: withoutComments(text), imports: importsOf(path, text) };
  });

/** Static and dynamic imports, those of types too, and re-exports, of files in src/. */
function importsOf(from: string, text: string): Import[] {
  const pattern = /^\s*(?:import|export)\b[^;]*?from\s+"(\.[^"]+)"|\bimport\(\s*"(\.[^"]+)"/gms;
  return Array.from(text.matchAll(pattern), ([, named, dynamic]) => ({
    from,
    to: relative(source, join(source, dirname(from), named ?? dynamic ?? "")),
  }));
}

function withoutComments(text: string): string {
  return text.replace(/\/\*.*?\*\/|(?<!["`:])\/\/[^\n]*/gs, "");
}

/** Each layer may use those after it. */
const layers = ["worker.ts", "edge", "registry", "objects", "rpc", "storage"];
const common = [
  "oci",
  "policy",
  "metrics",
  "settings",
  "bindings.ts",
  "clock.ts",
  "data-versions.ts",
  "log.ts",
  "machine.ts",
  "timeout.ts",
  "units.ts",
  "version.ts",
];

function layerOf(path: string): string {
  return path.split("/")[0] ?? "";
}

function mayImport({ from, to }: Import): boolean {
  const [user, used] = [layerOf(from), layerOf(to)];
  if (user === used) return true;
  // What runs in the Worker reaches objects by rpc/ alone.
  if (used === "objects") return user === "worker.ts";
  // The two entries of the command line start the server, whose flags it describes.
  if (user === "installed" || from === "cli/main.ts") return used === "cli" || used === "local";
  if (from === "cli/commands/serve.ts" && to === "local/flags.ts") return true;
  if (user === "local") return !["worker.ts", "cli", "installed", "ui"].includes(used);
  if (["version.ts", "units.ts", "timeout.ts"].includes(used)) return true;
  if (user === "contract") return used === "oci" || used === "policy";
  if (user === "client" || user === "policy") return used === "oci";
  if (user === "cli") return ["oci", "policy", "contract", "client", "settings"].includes(used);
  if (user === "ui") return ["oci", "policy", "contract"].includes(used);
  if (used === "ui") return false;
  if (used === "contract") return user === "edge";
  if (used === "client") return ["edge", "registry", "objects", "rpc"].includes(user);
  if (user === "oci" || user === "metrics") return false;
  if (common.includes(used)) return true;
  if (common.includes(user)) return false;
  return layers.includes(used) && layers.indexOf(user) < layers.indexOf(used);
}

test("every file belongs to a layer", () => {
  const known = [...layers, ...common, "contract", "client", "local", "cli", "installed", "ui"];
  assert.deepEqual(
    files.map((file) => file.path).filter((path) => !known.includes(layerOf(path))),
    [],
  );
});

test("imports point one way: worker, edge, registry, rpc, storage, and worker, objects, rpc; all may use oci, policy, metrics, settings, clock and version; the contract is for edge and cli, the client for cli, edge, registry, rpc and objects", () => {
  const imports = files.flatMap((file) => file.imports);
  assert(imports.length > files.length, "the imports were found");
  const wrong = imports.filter((each) => !mayImport(each)).map(({ from, to }) => `${from} imports ${to}`);
  assert.deepEqual(wrong, []);
});

test("the command line imports types and addresses of the contract alone, whose schemas need a package", () => {
  const values = /^import (?!type )[^;]*from "[^"]*\/contract\/(?!address\.ts")/m;
  const wrong = files.filter(({ path, text }) => layerOf(path) === "cli" && values.test(text));
  assert.deepEqual(
    wrong.map(({ path }) => path),
    [],
  );
});

test("imports name files that there are", () => {
  const paths = new Set(files.map((file) => file.path));
  const dangling = files.flatMap((file) => file.imports).filter(({ to }) => !paths.has(to));
  assert.deepEqual(dangling, []);
});

/**
 * A circle of imports, those of types included, as a path that ends where it begins; `undefined` where there is none.
 * Files that import each other in a circle cannot be read, tested or moved one by one.
 */
function findCircle(imports: Map<string, string[]>): string[] | undefined {
  const done = new Set<string>();
  const visit = (path: string, above: string[]): string[] | undefined => {
    const start = above.indexOf(path);
    if (start >= 0) return [...above.slice(start), path];
    if (done.has(path)) return undefined;
    for (const to of imports.get(path) ?? []) {
      const circle = visit(to, [...above, path]);
      if (circle !== undefined) return circle;
    }
    done.add(path);
    return undefined;
  };
  for (const path of imports.keys()) {
    const circle = visit(path, []);
    if (circle !== undefined) return circle;
  }
  return undefined;
}

test("no files import each other in a circle, also not for types", () => {
  const graph = new Map(files.map(({ path, imports }) => [path, imports.map(({ to }) => to)]));
  assert.equal(findCircle(graph)?.join(" → "), undefined);
});

test("a circle is found wherever it begins", () => {
  const circle = [
    ["a", ["b", "d"]],
    ["b", ["c"]],
    ["c", ["d", "b"]],
    ["d", []],
  ] as const;
  assert.deepEqual(findCircle(new Map(circle.map(([path, to]) => [path, [...to]]))), ["b", "c", "b"]);
});

/** Where HTTP is spoken: at the edge, and between the Worker and an upload, whose bytes are a request's body. */
function speaksHttp(path: string): boolean {
  return /^(edge|local)\/|^worker\.ts$|^client\/node\.ts$|^objects\/(upload|fetch)\.ts$|^rpc\/(api|upload-channel|fetch-channel)\.ts$/.test(
    path,
  );
}

const rules: [rule: string, pattern: RegExp, isExempt?: (path: string) => boolean][] = [
  [
    "requests are read and answers written only at the edge",
    /\bnew (Request|Response)\((?!body\)\.arrayBuffer)|\bResponse\.json\(|: Request\b/,
    speaksHttp,
  ],
  [
    "rows are written in transactions, which one file makes",
    /\btransactionSync\(|\.exec[<(](?!\w+\))/,
    (path) => path === "objects/sql.ts" || !path.startsWith("objects/"),
  ],
  [
    "objects have digests, tags and names from parsers, and from the rows that they are kept in",
    /\bas (Digest|AnyDigest|Tag|RepositoryName)\b/,
    (path) => !/^(objects|storage)\//.test(path) || path === "objects/blob-shard/holders.ts",
  ],
  ["a transaction takes no async callback", /\btransaction\([\w.#]+, async\b/],
  [
    "bindings come by argument, so that tests can wrap them",
    /import\s*\{[^}]*\benv\b[^}]*\}\s*from\s*"cloudflare:workers"/,
  ],
  [
    "every line of the log is written by log.ts",
    /\bconsole\./,
    (path) => /^(log\.ts|cli\/|local\/)/.test(path),
  ],
  ["no object blocks the others while it waits", /\bblockConcurrencyWhile\b/],
  [
    "the clock is passed in",
    /\bDate\.now\(|\bnew Date\(\)|unixepoch\(/,
    (path) => /^(local|ui)\//.test(path),
  ],
];

test("what reads files or runs programs for a client is loaded by the command line alone", () => {
  const ofNode = /\bfrom "node:(?!crypto")/;
  const users = files.filter(({ path, text }) => layerOf(path) === "client" && ofNode.test(text));
  assert.deepEqual(users.map(({ path }) => path).sort(), ["client/docker-config.ts", "client/node.ts"]);
  const loaded = files
    .flatMap(({ imports }) => imports)
    .filter(({ to }) => users.some(({ path }) => path === to));
  assert.deepEqual(
    loaded.filter(({ from }) => layerOf(from) !== "cli"),
    [],
  );
});

for (const [rule, pattern, isExempt = () => false] of rules) {
  test(rule, () => {
    const breaking = files.filter(({ path, code }) => !isExempt(path) && pattern.test(code));
    assert.deepEqual(
      breaking.map((file) => file.path),
      [],
    );
  });
}

test("no file of src/ has more than 320 lines", () => {
  const long = files.filter(({ text }) => text.split("\n").length - 1 > 320);
  assert.deepEqual(
    long.map((file) => file.path),
    [],
  );
});
