import assert from "node:assert/strict";
import test, { describe } from "node:test";
import { parseRepositoryName, type RepositoryName } from "../../src/oci/reference.ts";
import {
  addressByAlias,
  addressByName,
  isAllowed,
  parseUpstreams,
  type Upstream,
} from "../../src/oci/upstream.ts";
import { parseSettings } from "../../src/settings/settings.ts";

const hub = { id: "dockerhub", url: "https://registry-1.docker.io", aliases: ["docker.io"] };
const quay = { id: "quay", url: "https://quay.io", aliases: ["quay.io", "quay.io:443"] };

function read(...entries: object[]): Upstream[] {
  const parsed = parseUpstreams(JSON.stringify(entries));
  assert(parsed.ok, JSON.stringify(parsed));
  return parsed.value;
}

function name(text: string): RepositoryName {
  const parsed = parseRepositoryName(text);
  assert(parsed !== undefined);
  return parsed;
}

test("upstreams are read, with what is left out", () => {
  assert.deepEqual(read(), []);
  assert.deepEqual(read({ id: "quay", url: "https://quay.io/" }), [
    {
      id: "quay",
      url: "https://quay.io",
      aliases: [],
      repositories: ["**"],
      tagTtlMs: 60_000,
      staleForMs: 7 * 86_400_000,
      onGone: "keep",
      maxConcurrent: 8,
      visibility: "private",
      isPrivate: false,
      isInsecure: false,
      isOffline: false,
    },
  ]);
  const all = {
    ...hub,
    repositories: ["library/*", "grafana/**"],
    realm: "https://auth.example.com",
    tagTtl: "5m",
    staleFor: "0s",
    keepFor: "30d",
    maxBytes: "100GiB",
    onGone: "delete",
    maxConcurrent: 2,
    visibility: "public",
    private: true,
    insecure: true,
    offline: true,
  };
  assert.deepEqual(read(all), [
    {
      ...hub,
      repositories: ["library/*", "grafana/**"],
      realm: "https://auth.example.com",
      tagTtlMs: 300_000,
      staleForMs: 0,
      keepForMs: 30 * 86_400_000,
      maxBytes: 100 * 1024 ** 3,
      onGone: "delete",
      maxConcurrent: 2,
      visibility: "public",
      isPrivate: true,
      isInsecure: true,
      isOffline: true,
    },
  ]);
});

describe("upstreams are refused as a whole with", () => {
  const wrong: [what: string, where: string, value: unknown][] = [
    ["no list", "it", hub],
    ["an entry that is a text", "[0]", ["https://quay.io"]],
    ["no id", "[0].id", [{ url: quay.url }]],
    ["an id of two segments", "[0].id", [{ ...hub, id: "docker/hub" }]],
    ["an id in upper case", "[0].id", [{ ...hub, id: "Hub" }]],
    ["an id twice", "[1].id", [hub, { ...quay, id: hub.id }]],
    ["an alias twice", "[1].aliases", [hub, { ...quay, aliases: ["docker.io"] }]],
    ["an alias with a path", "[0].aliases", [{ ...hub, aliases: ["docker.io/library"] }]],
    ["no url", "[0].url", [{ id: "hub" }]],
    ["http", "[0].url", [{ ...hub, url: "http://registry-1.docker.io" }]],
    ["credentials in the url", "[0].url", [{ ...hub, url: "https://a:b@registry-1.docker.io" }]],
    ["a query in the url", "[0].url", [{ ...hub, url: "https://registry-1.docker.io/?a" }]],
    ["a private address", "[0].url", [{ ...hub, url: "https://10.0.0.1" }]],
    ["a name of the local network", "[0].url", [{ ...hub, url: "https://harbor.internal" }]],
    [
      "http to a private address that is not allowed",
      "[0].url",
      [{ ...hub, url: "http://[::1]", insecure: true }],
    ],
    ["a realm over http", "[0].realm", [{ ...hub, realm: "http://auth.docker.io" }]],
    ["a pattern in upper case", "[0].repositories", [{ ...hub, repositories: ["Library/*"] }]],
    ["a number for a duration", "[0].tagTtl", [{ ...hub, tagTtl: 60 }]],
    ["a size for a duration", "[0].staleFor", [{ ...hub, staleFor: "7GiB" }]],
    ["a size of nothing", "[0].maxBytes", [{ ...hub, maxBytes: "0" }]],
    ["another word", "[0].onGone", [{ ...hub, onGone: "ask" }]],
    ["no fetches", "[0].maxConcurrent", [{ ...hub, maxConcurrent: 0 }]],
    ["a text for a flag", "[0].offline", [{ ...hub, offline: "yes" }]],
    ["a misspelt field", "[0].repository", [{ ...hub, repository: "library/*" }]],
  ];
  for (const [what, where, value] of wrong) {
    test(what, () => {
      const parsed = parseUpstreams(JSON.stringify(value));
      assert(!parsed.ok);
      assert(parsed.reason.startsWith(`${where} `) || parsed.reason.startsWith(`${where}.`), parsed.reason);
    });
  }
});

describe("credentials", () => {
  const UPSTREAMS = JSON.stringify([{ ...hub, id: "docker-hub", repositories: ["library/*"] }]);
  const credential = { username: "u", password: "p" };

  test("come from two variables, or from the one of the local server", () => {
    const variables = { UPSTREAM_DOCKER_HUB_USERNAME: "u", UPSTREAM_DOCKER_HUB_PASSWORD: "p" };
    assert.deepEqual(parseSettings({ UPSTREAMS, ...variables }).upstreams[0]?.credential, credential);
    const together = { UPSTREAMS, UPSTREAM_CREDENTIALS: JSON.stringify(variables) };
    assert.deepEqual(parseSettings(together).upstreams[0]?.credential, credential);
    assert.equal(parseSettings({ UPSTREAMS }).upstreams[0]?.credential, undefined);
  });

  test("are refused by half", () => {
    const half = { UPSTREAMS, UPSTREAM_DOCKER_HUB_USERNAME: "u" };
    assert.throws(() => parseSettings(half), /UPSTREAM_DOCKER_HUB_PASSWORD is missing/);
  });

  test("need repositories that are written out, and so does the public", () => {
    const wide = JSON.stringify([quay, { ...hub, id: "docker-hub" }]);
    const variables = { UPSTREAM_DOCKER_HUB_USERNAME: "u", UPSTREAM_DOCKER_HUB_PASSWORD: "p" };
    assert.throws(
      () => parseSettings({ UPSTREAMS: wide, ...variables }),
      /UPSTREAMS is wrong: \[1\]\.repositories/,
    );
    const open = { ...quay, visibility: "public" };
    assert.throws(() => parseSettings({ UPSTREAMS: JSON.stringify([open]) }), /\[0\]\.repositories/);
    const all = { UPSTREAMS: JSON.stringify([{ ...open, repositories: ["**"] }]) };
    assert.equal(parseSettings(all).upstreams[0]?.visibility, "public");
  });
});

describe("a name means", () => {
  const upstreams = read(hub, { ...quay, repositories: ["coreos/*"] });

  test("a local repository, or one of an upstream in its canonical form", () => {
    const cases: [given: string, repository: string, there: string | undefined][] = [
      ["team/app", "team/app", undefined],
      ["dockerhub", "dockerhub", undefined],
      ["dockerhub/alpine", "dockerhub/library/alpine", "library/alpine"],
      ["dockerhub/library/alpine", "dockerhub/library/alpine", "library/alpine"],
      ["quay/etcd", "quay/etcd", "etcd"],
      ["dockerhubs/alpine", "dockerhubs/alpine", undefined],
    ];
    for (const [given, repository, there] of cases) {
      const addressed = addressByName(upstreams, name(given));
      assert.equal(addressed?.repository, repository);
      assert.equal(addressed?.cached?.name, there);
    }
  });

  test("with an alias, always one of the upstream", () => {
    const cases: [alias: string, given: string, repository: string | undefined][] = [
      ["docker.io", "alpine", "dockerhub/library/alpine"],
      ["DOCKER.IO", "grafana/grafana", "dockerhub/grafana/grafana"],
      ["docker.io", "dockerhub/library/alpine", "dockerhub/library/alpine"],
      ["docker.io", "quay/etcd", "dockerhub/quay/etcd"],
      ["quay.io:443", "etcd", "quay/etcd"],
      ["ghcr.io", "alpine", undefined],
    ];
    for (const [alias, given, repository] of cases)
      assert.equal(addressByAlias(upstreams, alias, name(given))?.repository, repository);
  });

  test("nothing if the canonical one is too long", () => {
    assert.equal(addressByName(upstreams, name(`dockerhub/${"a".repeat(240)}`)), undefined);
  });

  test("what the patterns of the upstream allow", () => {
    const allowed = (given: string) => {
      const cached = addressByName(upstreams, name(given))?.cached;
      return cached !== undefined && isAllowed(cached);
    };
    assert.deepEqual(["quay/coreos/etcd", "quay/etcd", "dockerhub/a/b/c"].map(allowed), [true, false, true]);
  });
});
