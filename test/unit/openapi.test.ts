import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import test from "node:test";
import { routes } from "../../src/edge/routes.ts";
import { verbs } from "../../src/oci/grant.ts";

type Json = { [field: string]: Json } & Json[];

const file = join(import.meta.dirname, "..", "..", "docs", "openapi.json");
const document: Json = JSON.parse(readFileSync(file, "utf8"));
const methods = ["get", "head", "post", "put", "patch", "delete"];

/** What a `$ref` stands for. */
function resolve(value: Json): Json {
  const reference: unknown = value.$ref;
  if (typeof reference !== "string") return value;
  const [start, ...path] = reference.split("/");
  assert.equal(start, "#", reference);
  const target = path.reduce<Json | undefined>((node, name) => node?.[name], document);
  assert(target !== undefined, `there is no ${reference}`);
  return resolve(target);
}

type Operation = { path: string; method: string; operation: Json; parameters: Json[] };

const operations: Operation[] = Object.entries(document.paths ?? {}).flatMap(([path, item]) =>
  methods
    .filter((method) => Object.hasOwn(item, method))
    .map((method) => {
      const operation = item[method] as Json;
      const parameters = [...(item.parameters ?? []), ...(operation.parameters ?? [])].map(resolve);
      return { path, method, operation, parameters };
    }),
);

/** `/v2/:name+/blobs/:digest` as OpenAPI writes it. */
function documentedPath(path: string): string {
  return path.replace(/:(\w+)\+?/g, "{$1}");
}

test("every route is documented with its methods, and nothing else is", () => {
  // The interface is for people, who need no document of its paths.
  const isOfInterface = ({ name }: { name: string }) => /^(page-|asset$)/.test(name);
  const served = routes
    .filter((route) => !isOfInterface(route))
    .flatMap(({ path, methods: answers }) =>
      Object.keys(answers).map((method) => `${method} ${documentedPath(path)}`),
    );
  const name = ({ path, method }: Operation) => `${method.toUpperCase()} ${path}`;
  const documented = operations.filter(({ method }) => method !== "head").map(name);
  assert.deepEqual(documented.toSorted(), served.toSorted());
  // GET also answers HEAD, whether that is said or not.
  const heads = operations.filter(({ method }) => method === "head").map(name);
  for (const head of heads) assert(served.includes(head.replace("HEAD", "GET")), head);
});

test("routes of the management API ask for a password, and the others as they do", () => {
  const byPath = new Map(routes.map((route) => [documentedPath(route.path), route]));
  for (const { path, operation } of operations) {
    const security = (operation.security ?? document.security ?? []) as Json[];
    const schemes = security.map((requirement) => Object.keys(requirement)[0] ?? "none");
    const kind = byPath.get(path)?.of;
    if (kind === "management") {
      assert.deepEqual(schemes, path === "/metrics" ? ["basic", "scraper"] : ["basic"], path);
    }
    if (kind === "repository" || kind === "registry") assert(schemes.includes("bearer"), path);
    const known = Object.keys(document.components?.securitySchemes ?? {});
    for (const scheme of schemes) assert(scheme === "none" || known.includes(scheme), scheme);
  }
});

test("every operation has an id of its own, the parameters of its path, and answers", () => {
  const ids = operations.map(({ operation }) => String(operation.operationId));
  assert.equal(new Set(ids).size, operations.length);
  const tags = (document.tags ?? []).map((tag) => String(tag.name));
  for (const { path, method, operation, parameters } of operations) {
    const what = `${method} ${path}`;
    assert.equal(typeof operation.summary, "string", what);
    for (const tag of operation.tags ?? []) assert(tags.includes(String(tag)), what);
    const inPath = parameters.filter((parameter) => String(parameter.in) === "path");
    const named = [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name);
    assert.deepEqual(inPath.map((parameter) => String(parameter.name)).toSorted(), named.toSorted(), what);
    for (const parameter of parameters) {
      assert(["path", "query", "header"].includes(String(parameter.in)), what);
      assert(parameter.schema !== undefined, what);
      assert(String(parameter.in) !== "path" || Boolean(parameter.required), what);
    }
    const keys = parameters.map((parameter) => `${parameter.in} ${parameter.name}`);
    assert.equal(new Set(keys).size, keys.length, what);
    assert(method !== "get" || operation.requestBody === undefined, what);
    const responses = Object.entries(operation.responses ?? {});
    assert(
      responses.some(([status]) => status.startsWith("2")),
      what,
    );
    for (const [status, response] of responses) {
      assert.match(status, /^[1-5](\d\d|XX)$/, what);
      assert.equal(typeof resolve(response).description, "string", `${what} ${status}`);
    }
  }
});

/** Every object of the document, with the way to it. */
function* nodes(node: Json, way: string): Generator<[way: string, node: Json]> {
  if (typeof node !== "object" || node === null) return;
  yield [way, node];
  for (const [name, child] of Object.entries(node)) yield* nodes(child, `${way}/${name}`);
}

test("the document is OpenAPI 3.1, its references lead somewhere, and all its components are used", () => {
  assert.match(String(document.openapi), /^3\.1\.\d$/);
  assert.deepEqual([typeof document.info?.title, typeof document.info?.version], ["string", "string"]);
  const used = new Set<string>();
  for (const [way, node] of nodes(document, "#")) {
    if (node.$ref === undefined) continue;
    assert.deepEqual(Object.keys(node), ["$ref"], way);
    resolve(node);
    used.add(String(node.$ref));
  }
  for (const [kind, components] of Object.entries(document.components ?? {})) {
    if (kind === "securitySchemes") continue;
    for (const name of Object.keys(components)) {
      assert(used.has(`#/components/${kind}/${name}`), `${kind}/${name} is not used`);
    }
  }
});

test("schemas are what JSON Schema knows, and require only what they describe", () => {
  const types = ["object", "array", "string", "integer", "number", "boolean"];
  const schemas = [...nodes(document, "#")].filter(([way]) => /\/(schema|items|schemas\/\w+)$/.test(way));
  assert(schemas.length > 30);
  for (const [way, schema] of schemas) {
    if (schema.$ref !== undefined || schema.allOf !== undefined) continue;
    assert(types.includes(String(schema.type)), way);
    assert(String(schema.type) !== "array" || schema.items !== undefined, way);
    for (const name of schema.required ?? [])
      assert(Object.hasOwn(schema.properties ?? {}, String(name)), way);
  }
  assert.deepEqual(document.components?.schemas?.Verb?.enum, [...verbs]);
});
