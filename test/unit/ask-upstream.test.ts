/** What comes of a question to an upstream, and what is told to its object and to the client. */
import assert from "node:assert/strict";
import test from "node:test";
import type { Env } from "../../src/bindings.ts";
import { type FailureFacts, type FailureKind, RegistryError } from "../../src/client/errors.ts";
import type { RemoteRepository } from "../../src/client/repository.ts";
import { askUpstream, failureOf, type NoAnswer } from "../../src/objects/fetch/ask.ts";
import { failure } from "../../src/oci/errors.ts";
import { digestOfContent, type RepositoryName } from "../../src/oci/reference.ts";
import type { Admission, UpstreamReport } from "../../src/rpc/upstream-api.ts";
import { content } from "../support/content.ts";
import { namespaceOf } from "../support/namespace.ts";

const entry = { id: "up", url: "https://registry.example.org" };
const name = "team/app" as RepositoryName;
const digest = digestOfContent(content(), "sha256");
const admitted: Admission = { ok: true, authorization: "Bearer first" };

/** An upstream whose object admits like this, and whose answers are these; and what both were asked. */
function upstreamWith({ admission = admitted, more = {}, answers = [] as Response[] }) {
  const reports: UpstreamReport[] = [];
  const calls: unknown[][] = [];
  const sent: (string | null)[] = [];
  const state = {
    admit: async () => {
      calls.push(["admit"]);
      return admission;
    },
    renew: async (...args: unknown[]) => {
      calls.push(["renew", ...args]);
      return { ok: true, authorization: "Bearer second" };
    },
    report: async (report: UpstreamReport) => {
      reports.push(report);
      throw new Error("the object has gone");
    },
  };
  const outbound = {
    fetch: async (_: string, { headers }: RequestInit) => {
      sent.push(new Headers(headers).get("Authorization"));
      return answers.shift();
    },
  };
  const env = {
    UPSTREAMS: JSON.stringify([{ ...entry, ...more }]),
    LOG_FORMAT: "none",
    UPSTREAM_STATES: namespaceOf(state),
    WEBHOOK_OUTBOUND: outbound,
  } as unknown as Env;
  const work: Promise<unknown>[] = [];
  const asker = {
    env,
    clock: { now: () => 1_000_000 },
    waitUntil: (each: Promise<unknown>) => {
      work.push(each);
    },
  };
  const ask = async <T>(question: (remote: RemoteRepository) => Promise<T | undefined>, id = "up") => {
    const asked = await askUpstream(asker, { upstream: id, name }, `${name}:v1`, "tag", question);
    await Promise.all(work);
    return asked;
  };
  return { ask, reports, calls, sent };
}

type Case = [what: string, FailureKind, FailureFacts, cause: Error | undefined, NoAnswer["outcome"]];
const failures: Case[] = [
  ["a credential that is refused: denied", "refused", { status: 401 }, undefined, "denied"],
  ["what is forbidden: denied", "refused", { status: 403 }, undefined, "denied"],
  ["what is not found: absent", "refused", { status: 404 }, undefined, "absent"],
  ["too many requests: limited", "refused", { status: 429, retryAfterMs: 7000 }, undefined, "limited"],
  ["an error of the server: down", "refused", { status: 500 }, undefined, "down"],
  ["no connection: down", "unreachable", {}, new Error("reset"), "down"],
  ["bytes that broke off: down", "broken", {}, new Error("reset"), "down"],
  ["bytes of another digest: invalid", "broken", {}, undefined, "invalid"],
  ["an answer that is none of a registry: invalid", "foreign", { status: 200 }, undefined, "invalid"],
  ["a bad request: invalid", "refused", { status: 400 }, undefined, "invalid"],
  ["a redirect to elsewhere: invalid", "redirected", {}, undefined, "invalid"],
  ["an address that is not trusted: invalid", "untrusted", {}, undefined, "invalid"],
];

for (const [what, kind, facts, cause, outcome] of failures)
  test(what, async () => {
    const { ask, reports } = upstreamWith({});
    const asked = await ask(async () => {
      throw new RegistryError(kind, "words", facts, cause);
    });
    assert(!asked.ok);
    assert.deepEqual([asked.outcome, asked.retryAfterMs], [outcome, facts.retryAfterMs]);
    const { reference, outcome: reported, detail, retryAfterMs } = reports[0] ?? { outcome: "answered" };
    assert.deepEqual(
      [reports.length, reference, reported, detail, retryAfterMs],
      [1, `${name}:v1`, outcome, "words", facts.retryAfterMs],
    );
  });

test("a time limit that has passed: down", async () => {
  const asked = await upstreamWith({}).ask(() => Promise.reject(new DOMException("late", "TimeoutError")));
  assert.equal(!asked.ok && asked.outcome, "down");
});

test("an upstream that is offline, or was removed, is not asked, and its object neither", async () => {
  const offline = upstreamWith({ more: { offline: true } });
  const removed = upstreamWith({});
  for (const asked of [await offline.ask(async () => 1), await removed.ask(async () => 1, "other")])
    assert.equal(!asked.ok && asked.outcome, "down");
  assert.deepEqual([offline.calls, removed.calls], [[], []]);
});

test("an upstream that its object says is not to be asked is not, and nothing is reported", async () => {
  const refusals: [Admission, NoAnswer["outcome"]][] = [
    [{ ok: false, reason: "down", retryAfterMs: 5000 }, "down"],
    [{ ok: false, reason: "limited", retryAfterMs: 5000 }, "limited"],
    [{ ok: false, reason: "absent", retryAfterMs: 5000 }, "absent"],
    [{ ok: false, kind: "refused", message: "wrong password", status: 401, retryAfterMs: 5000 }, "denied"],
  ];
  for (const [admission, outcome] of refusals) {
    const { ask, reports } = upstreamWith({ admission });
    const asked = await ask(() => assert.fail("it was asked"));
    assert(!asked.ok);
    assert.deepEqual([asked.outcome, asked.retryAfterMs, reports], [outcome, 5000, []]);
  }
});

test("a token that the upstream refuses is renewed with its challenge, and the rate limit is reported", async () => {
  const challenge = 'Bearer realm="https://registry.example.org/token"';
  const { ask, reports, calls, sent } = upstreamWith({
    answers: [
      new Response(null, { status: 401, headers: { "WWW-Authenticate": challenge } }),
      new Response(null, {
        headers: { "Content-Length": "7", "RateLimit-Limit": "100", "RateLimit-Remaining": "76" },
      }),
    ],
  });
  const asked = await ask((remote) => remote.statBlob(digest));
  assert.deepEqual(asked, { ok: true, value: 7 });
  assert.deepEqual(sent, ["Bearer first", "Bearer second"]);
  assert.deepEqual(calls, [["admit"], ["renew", "up", name, challenge, "Bearer first"]]);
  const rateLimit = { limit: 100, remaining: 76, atMs: 1_000_000 };
  assert.deepEqual(reports, [{ outcome: "answered", rateLimit, reference: `${name}:v1` }]);
});

test("what a client is told when the upstream did not give it", () => {
  const absent = failure("MANIFEST_UNKNOWN");
  const told = (outcome: NoAnswer["outcome"], retryAfterMs?: number) =>
    failureOf({ ok: false, outcome, detail: "", retryAfterMs }, { upstream: "up" }, absent);
  assert.equal(told("absent"), absent);
  assert.equal(told("denied"), absent);
  const upstream = "up";
  assert.deepEqual(told("limited", 1), failure("UPSTREAM_LIMITED", { upstream, retryAfterSeconds: 1 }));
  assert.deepEqual(told("limited", 0), failure("UPSTREAM_LIMITED", { upstream, retryAfterSeconds: 1 }));
  assert.deepEqual(told("down"), failure("UPSTREAM_UNREACHABLE", { upstream, retryAfterSeconds: 10 }));
  assert.deepEqual(told("invalid"), failure("UPSTREAM_INVALID", { upstream }));
});
