/** What all declarations have in common that no type can say. */
import assert from "node:assert/strict";
import test from "node:test";
import { passwordLength } from "../../src/contract/accounts.ts";
import { fillPath } from "../../src/contract/address.ts";
import { contract } from "../../src/contract/contract.ts";
import { apiRoot } from "../../src/contract/operation.ts";
import { parameters } from "../../src/contract/parameters.ts";
import { findRoute } from "../../src/edge/dispatch.ts";
import { routes } from "../../src/edge/routes.ts";
import { minPasswordLength } from "../../src/settings/table.ts";
import { operations } from "../support/contract.ts";

const namesIn = (text: string) => Array.from(text.matchAll(/\{(\w+)\}/g), ([, name = ""]) => name);

test("the parameters of paths are known", () => {
  for (const { path } of operations) {
    for (const name of namesIn(path)) assert(Object.hasOwn(parameters, name), path);
  }
});

test("an access that is about something is on a path that names it", () => {
  for (const { path, operation } of operations) {
    const { access } = operation;
    const needed =
      typeof access === "object"
        ? ["name"]
        : access === "own account"
          ? ["account"]
          : access === "own token"
            ? ["account", "token"]
            : [];
    for (const name of needed) assert(namesIn(path).includes(name), path);
    assert.equal(namesIn(path).includes("name"), typeof access === "object", path);
  }
});

test("every path is declared once, and has a name of its own", () => {
  const paths = Object.values(contract).flatMap((resource) => Object.keys(resource));
  assert.equal(new Set(paths).size, paths.length);
  const names = routes.map(({ name }) => name);
  assert.equal(new Set(names).size, names.length);
});

test("a request for an operation finds its route", () => {
  for (const { method, path, name } of operations) {
    const target = apiRoot + path.replace(/\{\w+\}/g, "a");
    const { route } = findRoute(target, method);
    assert.deepEqual([route?.of, route?.name], ["management", name], `${method} ${target}`);
  }
});

test("a filled path leads to its operation, whatever the repository is called", () => {
  const words = operations
    .flatMap(({ path }) => path.split("/"))
    .filter((word) => /^[a-z]+$/.test(word) && word !== "repositories");
  const names = words.flatMap((word) => [
    word,
    `a/${word}`,
    `a/${word}/b`,
    `${word}/${word}/b/${word}`,
    `a/${word}s`,
  ]);
  for (const { method, path, name } of operations) {
    if (!path.includes("{name}")) continue;
    for (const repository of new Set(names)) {
      const values = { name: repository, tag: "tags", digest: "sha256:1", reference: "restore" };
      const target = apiRoot + fillPath(path, values);
      const { route, params } = findRoute(target, method);
      assert.deepEqual([route?.name, params.name], [name, repository], `${method} ${target}`);
      assert(!target.includes("%2F") || words.some((word) => repository.includes(`/${word}`)), target);
    }
  }
});

test("a filled path has no parameter that leads elsewhere", () => {
  assert.equal(fillPath("/accounts/{account}", { account: "../gc?x#y" }), "/accounts/..%2Fgc%3Fx%23y");
});

test("nothing is served below /api that is not declared", () => {
  const served = routes
    .filter(({ path }) => path.startsWith("/api"))
    .flatMap(({ name, methods }) => Object.keys(methods).map((method) => `${method} ${name}`));
  const declared = operations.map(({ method, name }) => `${method} ${name}`);
  assert.deepEqual(served.sort(), declared.sort());
});

test("what may be repeated goes on from a cursor", () => {
  const repeatable = operations.filter(({ operation }) => "isRepeatable" in operation);
  assert(repeatable.length > 0);
  for (const { operation } of repeatable) {
    assert("body" in operation && Object.hasOwn(operation.body?.entries ?? {}, "cursor"), operation.id);
  }
});

test("summaries are a line without an end, details are sentences", () => {
  for (const { operation } of operations) {
    const { id, summary, details = "Is.", answers } = operation;
    assert.match(summary, /^[A-Z][^\n]*[^.\s]$/, id);
    assert.match(details, /^[A-Z`][^\n]*\.$/, id);
    for (const { description } of Object.values(answers)) assert.match(description, /^[A-Z]/, id);
  }
});

test("a password of an account is as long as the administrator's, at least", () => {
  assert.equal(passwordLength.least, minPasswordLength);
});
