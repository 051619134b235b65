import assert from "node:assert/strict";
import test from "node:test";
import { dispatch, findRoute, type Unauthenticated } from "../../src/edge/dispatch.ts";
import type { Registry } from "../../src/registry/registry.ts";

test("a method that objects inherit is none of a route", async () => {
  for (const method of ["constructor", "toString", "__proto__"]) {
    const request = new Request("http://localhost/healthz", { method });
    const registry = { settings: { access: "closed", publicScheme: "request" } } as unknown as Registry;
    const received = { request, registry, url: new URL(request.url) } as unknown as Unauthenticated;
    const { route } = findRoute("/healthz", method);
    const answer = await dispatch(received, route, () => {});
    assert("error" in answer && answer.error === "METHOD_UNSUPPORTED", method);
    assert.deepEqual(answer.headers, { Allow: "GET, HEAD" });
  }
});
