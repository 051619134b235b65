/** Large lists: what a first screen asks for, and how soon it can be used. `npm run test:browser:large` */
import assert from "node:assert/strict";
import test from "node:test";
import { admin, startClosedRegistry } from "../support/closed-registry.ts";
import { configType, describe, encode, imageManifest } from "../support/content.ts";
import { until } from "../support/registry.ts";
import { signIn, skipsBrowser, type Visit, visit } from "./support/browser.ts";

const count = 1000;
const atOnce = 8;

/** The most requests to the management API that a first screen makes. */
const mostRequests = 3;

/** How soon a screen can be used, in milliseconds: the median of three visits. */
const mostMs = 1500;

test("of 1,000 repositories and 1,000 tags the first is there soon, by few requests", {
  skip: skipsBrowser,
}, async (t) => {
  const registry = await startClosedRegistry();
  const client = registry.as(admin);
  const config = encode({ os: "linux", architecture: "amd64" });
  const push = async (repository: string, tag: string, seed: number) => {
    const manifest = imageManifest(describe(config, configType), [], { annotations: { seed: String(seed) } });
    await client.pushManifest(repository, tag, manifest);
  };
  let next = 0;
  const pushSome = async () => {
    for (let number = next++; number < count; number = next++) {
      const name = `team-${number % 20}/app-${String(number).padStart(4, "0")}`;
      await client.pushBlob(name, config);
      await push(name, "v1", number);
      await push(
        "many/versions",
        `v${Math.floor(number / 100)}.${Math.floor(number / 10) % 10}.${number % 10}`,
        number,
      );
    }
  };
  await client.pushBlob("many/versions", config);
  await Promise.all(Array.from({ length: atOnce }, pushSome));
  const { page, requests, troubles, context }: Visit = await visit(registry.url);
  await page.goto("/sign-in");
  for (const value of await signIn(page, admin.name, admin.password)) registry.secrets.add(value);
  await until("all to be found", async () => {
    // The last page: it is there in full when all are listed.
    const last = await client.must(200, "GET", "/api/v1/search?sort=name&n=200&last=801");
    const { repositories } = last.json<{ repositories: { tags: number }[] }>();
    return repositories.length === 200 && repositories.every(({ tags }) => tags > 0);
  });

  const screens: Record<string, { path: string; name: string; rows: number; leads: string }> = {
    "1,000 repositories": { path: "/", name: "many/versions", rows: 50, leads: "**/r/many/versions" },
    "1,000 tags": {
      path: "/r/many/versions",
      name: "v9.9.9",
      rows: 100,
      leads: "**/r/many/versions/-/tags/v9.9.9",
    },
  };
  for (const [what, { path, name, rows, leads }] of Object.entries(screens)) {
    await t.test(what, async () => {
      const times: number[] = [];
      for (let turn = 0; turn < 3; turn++) {
        await page.goto("about:blank");
        requests.length = 0;
        const startedAt = performance.now();
        await page.goto(path, { waitUntil: "commit" });
        const link = page.getByRole("link", { name, exact: true }).first();
        await link.waitFor();
        times.push(performance.now() - startedAt);
        assert(requests.length <= mostRequests, requests.join("\n"));
        assert.equal(await page.locator("tbody tr").count(), rows);
        await link.click();
        await page.waitForURL(leads);
      }
      const [, median = Number.NaN] = times.toSorted((one, other) => one - other);
      assert(median <= mostMs, `it took ${median.toFixed(0)} ms`);
    });
  }
  assert.deepEqual(troubles, []);
  await context.close();
});
