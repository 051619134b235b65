/**
 * Content that attacks who looks at it: every field that a pusher can fill has markup and script in it. Nothing of it
 * may run: by escaping, which is seen where the policy is taken away, and by the policy, which is seen where a page has
 * the markup for once.
 */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test, { describe } from "node:test";
import { admin, startClosedRegistry } from "../support/closed-registry.ts";
import {
  configType,
  describe as descriptorOf,
  digestOf,
  encode,
  imageManifest,
  layerType,
} from "../support/content.ts";
import { until } from "../support/registry.ts";
import { signIn, skipsBrowser, type Visit, visit } from "./support/browser.ts";
import { attach } from "./support/sample.ts";

const markup = [
  "<script>document.title='attacked'</script>",
  "<img src=x onerror=\"document.title='attacked'\">",
  "<svg onload=\"document.title='attacked'\">",
  '"><iframe srcdoc="<script>top.document.title=\'attacked\'</script>">',
  "'-document.write(1)-'",
].join(" ");
const link = "javascript:document.title='attacked'";
const everything = `${markup} ${link} [click](${link}) ![x](${link}) <a href="${link}">click</a> {{7*7}} \u202e`;

describe("hostile content", { skip: skipsBrowser }, async () => {
  if (skipsBrowser !== false) return;
  const registry = await startClosedRegistry();
  const client = registry.as(admin);
  const name = "hostile/app";

  /** A window of an administrator. `withoutPolicy`: the page has no Content-Security-Policy, so that escaping is alone. */
  async function open(withoutPolicy: boolean): Promise<Visit> {
    const window = await visit(registry.url, { bypassCSP: withoutPolicy });
    const { page } = window;
    await page.goto("/sign-in");
    for (const value of await signIn(page, admin.name, admin.password)) registry.secrets.add(value);
    return window;
  }

  const layer = encode(everything);
  const config = encode({
    created: everything,
    author: everything,
    os: "linux",
    architecture: "amd64",
    config: {
      Env: [`${everything}=${everything}`],
      Entrypoint: [everything],
      Cmd: [everything],
      Labels: { [everything]: everything, "org.opencontainers.image.source": link },
      ExposedPorts: { [everything]: {} },
      Volumes: { [everything]: {} },
      WorkingDir: everything,
      User: everything,
      StopSignal: everything,
    },
    history: [
      { created_by: everything, comment: everything },
      { created_by: everything, empty_layer: true },
    ],
  });
  await Promise.all([config, layer].map((blob) => client.pushBlob(name, blob)));
  const titled = { "org.opencontainers.image.title": everything, [everything]: everything };
  const manifest = imageManifest(
    descriptorOf(config, configType),
    [descriptorOf(layer, layerType, { annotations: titled })],
    { annotations: { ...titled, "org.opencontainers.image.created": everything } },
  );
  await client.pushManifest(name, "v1", manifest);
  const subject = descriptorOf(manifest, "application/vnd.oci.image.manifest.v1+json");
  const sbom = encode({
    spdxVersion: everything,
    packages: [{ name: everything, versionInfo: everything, licenseDeclared: everything }],
  });
  await attach(client, name, subject, "application/spdx+json", sbom);
  const provenance = encode({
    predicateType: `https://slsa.dev/provenance/v1 ${everything}`,
    predicate: {
      buildDefinition: {
        externalParameters: { configSource: { uri: link } },
        resolvedDependencies: [{ uri: link }],
      },
      runDetails: { builder: { id: everything }, metadata: { startedOn: everything } },
    },
  });
  await attach(client, name, subject, "application/vnd.in-toto+json", provenance);
  await attach(client, name, subject, "text/html", encode(everything));
  await client.must(200, "PATCH", `/api/v1/repositories/${name}`, {
    json: {
      description: everything.slice(0, 1000),
      readme: `# ${everything}\n\n${everything}\n\n- ${everything}`,
    },
  });
  const signature = encode({
    critical: { identity: { "docker-reference": everything }, image: { "docker-manifest-digest": link } },
  });
  await attach(client, name, subject, "application/vnd.dev.cosign.simplesigning.v1+json", signature);
  await attach(client, name, subject, everything.slice(0, 100), encode(everything));
  await pushChart();
  await client.must(200, "PUT", `/api/v1/repositories/${name}/tags/v1/hold`, {
    json: { reason: everything },
  });
  await client.must(200, "PUT", "/api/v1/policies", {
    json: { rules: [{ repositories: ["**"], tags: { immutable: ["v1"] }, remove: { tags: ["*"] } }] },
  });
  const noted = await registry.generateToken("admin", { description: everything.slice(0, 200) });
  await until("it to be found", async () => {
    const answer = await client.must(200, "GET", "/api/v1/search?q=hostile");
    return (
      answer.json<{ repositories: { tags: number; description: string }[] }>().repositories[0]
        ?.description !== ""
    );
  });

  /** A chart whose config, README and values attack. */
  async function pushChart(): Promise<void> {
    const folder = mkdtempSync(join(tmpdir(), "chart-"));
    mkdirSync(join(folder, "web"));
    writeFileSync(join(folder, "web", "README.md"), everything);
    writeFileSync(join(folder, "web", "values.yaml"), everything);
    const archive = execFileSync("tar", ["-czf", "-", "-C", folder, "web"]);
    rmSync(folder, { recursive: true });
    const one = { name: everything, version: everything, email: link, url: link, repository: link };
    const chart = encode({
      name: everything,
      version: everything,
      description: everything,
      appVersion: everything,
      home: link,
      sources: [link],
      keywords: [everything],
      maintainers: [one],
      dependencies: [one],
    });
    await Promise.all([chart, archive].map((blob) => client.pushBlob("hostile/chart", blob)));
    const pushed = imageManifest(descriptorOf(chart, "application/vnd.cncf.helm.config.v1+json"), [
      descriptorOf(archive, "application/vnd.cncf.helm.chart.content.v1.tar+gzip", { annotations: titled }),
    ]);
    await client.pushManifest("hostile/chart", "1.0.0", pushed);
  }

  const screens = [
    "/",
    "/search?q=hostile",
    `/search?q=${encodeURIComponent(everything.slice(0, 150))}`,
    `/r/${name}`,
    `/r/${name}/-/readme`,
    `/r/${name}/-/history`,
    `/r/${name}/-/rules`,
    "/r/hostile/chart/-/tags/1.0.0",
    `/r/${name}/-/settings`,
    `/r/${name}/-/tags/v1`,
    "/usage",
    "/account",
    `/r/${name}?filter=${encodeURIComponent(markup)}`,
  ];

  for (const withoutPolicy of [true, false]) {
    test(`nothing runs, ${withoutPolicy ? "by escaping alone" : "and the policy has nothing to stop"}`, async () => {
      const { page, troubles, context } = await open(withoutPolicy);
      for (const path of screens) {
        await page.goto(path);
        await page.waitForLoadState("networkidle");
        const show = page.getByRole("button", { name: /^Show (?:content|README)/ });
        for (let left = await show.count(); left > 0; left--) await show.first().click();
        await page.evaluate("for (const closed of document.querySelectorAll('details')) closed.open = true");
        await page.waitForLoadState("networkidle");
        assert.doesNotMatch(await page.title(), /^attacked/, path);
        const made: string[] = await page.evaluate(`Array.from(
          document.querySelectorAll("main iframe, main script, main img, main object, main embed, [onerror], [onload], [onclick]"),
          ({ outerHTML }) => outerHTML,
        )`);
        assert.deepEqual(made, [], path);
        const links: string[] = await page.evaluate("Array.from(document.links, ({ protocol }) => protocol)");
        assert.deepEqual(
          links.filter((protocol) => !/^(https?|mailto):$/.test(protocol)),
          [],
          path,
        );
      }
      assert.deepEqual(troubles, []);
      await context.close();
    });
  }

  test("where a page has the markup, the policy stops it", async () => {
    const { page, troubles, context } = await open(false);
    await page.goto("/");
    // Beside what the interface draws, which would take it away again.
    const bait = `<div><a id="bait" href="${link}">click</a> ${markup}</div>`;
    await page.evaluate(`document.body.insertAdjacentHTML("afterbegin", ${JSON.stringify(bait)})`);
    await page.evaluate(
      `document.body.append(Object.assign(document.createElement("script"), { textContent: "document.title = 'attacked'" }))`,
    );
    await page.locator("#bait").click();
    assert.doesNotMatch(await page.title(), /^attacked/);
    assert(
      troubles.some((trouble) => trouble.includes("policy: script-src")),
      troubles.join("\n"),
    );
    assert(
      troubles.some(
        (trouble) => trouble.includes("policy: frame-src") || trouble.includes("policy: default-src"),
      ) || troubles.length > 2,
    );
    await context.close();
  });

  test("no other page may frame it, and what was pushed is no page by itself", async () => {
    const { page, context } = await open(false);
    for (const digest of [digestOf(layer), digestOf(config)]) {
      await page.goto(`/api/v1/repositories/${name}/blobs/${digest}/content`).catch(() => {});
      assert.doesNotMatch(await page.title(), /^attacked/);
    }
    await page.goto(`/api/v1/repositories/${name}/manifests/${digestOf(manifest)}/content`).catch(() => {});
    assert.doesNotMatch(await page.title(), /^attacked/);
    await context.close();
    await client.must(204, "DELETE", `/api/v1/accounts/admin/tokens/${noted.id}`);
  });

  test("a sign-in leads nowhere but to this registry", async () => {
    for (const to of [
      "https://evil.example/",
      "//evil.example/",
      "/\\evil.example/",
      "javascript:document.title='attacked'",
    ]) {
      const { page, context } = await visit(registry.url);
      await page.goto(`/sign-in?to=${encodeURIComponent(to)}`);
      await page.getByLabel("Account").fill(admin.name);
      await page.getByLabel("Password or access token").fill(admin.password);
      await page.getByRole("button", { name: "Sign in" }).click();
      await page.getByRole("heading", { name: "Repositories" }).waitFor();
      for (const { value } of await page.context().cookies()) registry.secrets.add(value);
      assert.equal(new URL(page.url()).origin, registry.url);
      await context.close();
    }
  });
});
