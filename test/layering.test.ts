/** The shape of src/, as docs/design.md asks for it. */
import assert from "node:assert/strict";
import { globSync, readFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import test from "node:test";

const source = join(import.meta.dirname, "..", "src");

type Import = { from: string; to: string; isTypeOnly: boolean };
type File = { path: string; text: string; code: string; imports: Import[] };

const files: File[] = globSync("**/*.ts", { cwd: source })
  .sort()
  .map((path) => {
    const text = readFileSync(join(source, path), "utf8");
    return { path, text, code: withoutComments(text), imports: importsOf(path, text) };
  });

/** Static and dynamic imports, and re-exports, of files in src/. */
function importsOf(from: string, text: string): Import[] {
  const pattern = /^\s*(?:import|export)\b(\s+type\b)?[^;]*?from\s+"(\.[^"]+)"|\bimport\(\s*"(\.[^"]+)"/gms;
  return Array.from(text.matchAll(pattern), ([, type, named, dynamic]) => ({
    from,
    to: relative(source, join(source, dirname(from), named ?? dynamic ?? "")),
    isTypeOnly: type !== undefined,
  }));
}

function withoutComments(text: string): string {
  return text.replace(/\/\*.*?\*\/|(?<!["`:])\/\/[^\n]*/gs, "");
}

/** Each layer may use those after it. */
const layers = ["worker.ts", "edge", "registry", "objects", "storage"];
const common = ["oci", "metrics", "env.ts", "version.ts", "machine.ts"];

function layerOf(path: string): string {
  return path.split("/")[0] ?? "";
}

function mayImport({ from, to, isTypeOnly }: Import): boolean {
  const [user, used] = [layerOf(from), layerOf(to)];
  if (user === used) return true;
  if (user === "local") return used !== "worker.ts" && used !== "cli";
  if (used === "version.ts") return true;
  if (user === "cli") return used === "oci" || used === "client";
  if (user === "client") return used === "oci";
  if (used === "client") return ["edge", "registry"].includes(user);
  if (user === "oci" || user === "metrics") return false;
  if (user === "env.ts") return used === "objects" ? isTypeOnly : used === "oci";
  if (common.includes(used)) return true;
  return layers.includes(used) && layers.indexOf(user) < layers.indexOf(used);
}

test("every file belongs to a layer", () => {
  const known = [...layers, ...common, "local", "cli", "client"];
  assert.deepEqual(
    files.map((file) => file.path).filter((path) => !known.includes(layerOf(path))),
    [],
  );
});

test("imports point one way: worker, edge, registry, objects, storage; all may use oci, metrics, env and version", () => {
  const imports = files.flatMap((file) => file.imports);
  assert(imports.length > files.length, "the imports were found");
  const wrong = imports.filter((each) => !mayImport(each)).map(({ from, to }) => `${from} imports ${to}`);
  assert.deepEqual(wrong, []);
});

test("imports name files that there are", () => {
  const paths = new Set(files.map((file) => file.path));
  const dangling = files.flatMap((file) => file.imports).filter(({ to }) => !paths.has(to));
  assert.deepEqual(dangling, []);
});

/** Where HTTP is spoken: at the edge, and between the Worker and an upload, whose bytes are a request's body. */
function speaksHttp(path: string): boolean {
  return /^(edge|local)\/|^worker\.ts$|^objects\/(api|upload|upload-channel)\.ts$/.test(path);
}

const rules: [rule: string, pattern: RegExp, isExempt?: (path: string) => boolean][] = [
  [
    "requests are read and answers written only at the edge",
    /\bnew (Request|Response)\((?!body\)\.arrayBuffer)|\bResponse\.json\(|: Request\b/,
    speaksHttp,
  ],
  ["a transaction takes no async callback", /transactionSync\w*\(\s*async/],
  [
    "bindings come by argument, so that tests can wrap them",
    /import\s*\{[^}]*\benv\b[^}]*\}\s*from\s*"cloudflare:workers"/,
  ],
  ["no object blocks the others while it waits", /\bblockConcurrencyWhile\b/],
  [
    "the clock is passed in",
    /\bDate\.now\(|\bnew Date\(\)|unixepoch\(/,
    (path) => /^(env\.ts|local\/|edge\/request-log\.ts)/.test(path),
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

test("no file is long", () => {
  const long = files.filter(({ text }) => text.split("\n").length - 1 > 320);
  assert.deepEqual(
    long.map((file) => file.path),
    [],
  );
});
