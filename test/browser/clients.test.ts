/**
 * The interface over what real clients push: docker, BuildKit with its attestations, cosign, helm and oras. What these
 * make differs from what a specification lets one expect, so each is shown here as it comes.
 */
import assert from "node:assert/strict";
import { mkdirSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import test from "node:test";
import { startClosedServer } from "../clients/support/closed-server.ts";
import { until } from "../local/program.ts";
import { admin } from "../support/closed-registry.ts";
import {
  checkAccessible,
  restore,
  signIn,
  skipsBrowser,
  type Visit,
  visit,
  workIn,
} from "./support/browser.ts";
import { startClients } from "./support/client-data.ts";

/** The rules of the tests: what is deployed stays, and what is built for a branch goes. */
const rules = [
  {
    repositories: ["team/**"],
    tags: { allow: ["v[0-9]*", "latest", "pr-*"], immutable: ["v[0-9]*.[0-9]*.[0-9]*"] },
    keep: [{ tags: ["v[0-9]*"], newestVersions: 10 }, { tags: ["latest"] }],
    remove: { tags: ["*"], untaggedAfter: "7d" },
  },
];

const looks = {
  light: { colorScheme: "light" },
  dark: { colorScheme: "dark" },
  "a phone": { viewport: { width: 390, height: 800 } },
} as const;

test("what real clients push is shown as people expect it", { skip: skipsBrowser }, async (t) => {
  const server = await startClosedServer(t);
  const clients = await startClients(t, server);
  if (clients === undefined) return;
  const { docker, pushApi, oras, verify, web, labels } = clients;
  const { host } = server;
  const api = `${host}/team/api`;

  const open = async (options: Parameters<typeof visit>[1] = {}) => {
    const window = await visit(server.url, options);
    const { page } = window;
    await page.goto("/sign-in");
    await signIn(page, admin.name, admin.password);
    window.requests.length = 0;
    return window;
  };

  /** Pictures of all that is seen, for whoever looks at them, in the folder ALL_PICTURES. */
  const picture = async ({ page }: Visit, name: string) => {
    const folder = process.env.ALL_PICTURES;
    if (folder === undefined || folder === "") return;
    mkdirSync(folder, { recursive: true });
    await page.screenshot({
      path: join(folder, `clients-${name}.png`),
      fullPage: true,
      animations: "disabled",
    });
  };

  const flow = (
    name: string,
    work: (window: Visit) => Promise<void>,
    { refusals = [], ...options }: { refusals?: number[] } & Parameters<typeof visit>[1] = {},
  ) => t.test(name, async () => workIn(await open(options), work, refusals));

  await until("all to be found", async () => {
    const { repositories } = await server.api<{ repositories: { tags: number }[] }>("search?q=&sort=name");
    return repositories.length === 4 && repositories.every(({ tags }) => tags > 0);
  });

  await flow("the list has a line for each repository, with what it contains", async (window) => {
    const { page } = window;
    await page.goto("/");
    for (const [name, content, tags] of [
      ["charts/web", "Helm chart", "2"],
      ["models/intent", "Artifact", "1"],
      ["team/api", "Image", "4"],
      ["team/web", "Multi-platform", "2"],
    ] as const) {
      const row = page.getByRole("row").filter({ hasText: name });
      await row.getByText(content, { exact: true }).waitFor();
      assert.match(await row.innerText(), new RegExp(`\\s${tags}\\s`), name);
    }
    await picture(window, "repositories");
  });

  await flow(
    "an image of docker: tags of one manifest together, layers with their commands",
    async (window) => {
      const { page } = window;
      await page.goto("/r/team/api");
      await page.getByRole("link", { name: "v1.1.0", exact: true }).waitFor();
      const rows = await page.locator("tbody tr").allInnerTexts();
      assert.equal(rows.length, 2);
      assert.match(
        rows[0] ?? "",
        /^v1\.1\.0\s+v1\.1\s+latest[\s\S]*linux\/amd64[\s\S]*4\.3 MB[\s\S]*by builder/,
      );
      await page.getByRole("link", { name: "v1.1.0", exact: true }).click();
      await page.getByText(/^COPY file:\w+ in \/srv\/runtime$/).waitFor();
      assert.equal(await page.locator(".layer").count(), 3);
      for (const text of ["LOG_LEVEL", "8080/tcp", "1000:1000", "/srv/program", "--listen :8080"])
        await page.getByText(text, { exact: true }).first().waitFor();
      await picture(window, "docker");
    },
  );

  await flow("an image of BuildKit: two platforms, and its attestations are no platforms", async (window) => {
    const { page } = window;
    await page.goto("/r/team/web");
    const row = page.getByRole("row").filter({ hasText: "v2.3.0" });
    await row.getByText("Provenance").waitFor();
    await row.getByText("signed").waitFor();
    await row.getByText("SBOM").waitFor();
    assert.doesNotMatch(await page.locator("main").innerText(), /unknown|sha256-/);
    await picture(window, "buildkit-tags");
    await row.getByRole("link", { name: "v2.3.0" }).click();
    const platforms = page.getByRole("navigation", { name: "Platform" }).getByRole("link");
    await platforms.first().waitFor();
    assert.deepEqual(
      (await platforms.allInnerTexts()).map((text) => text.split(" ")[0]),
      ["linux/amd64", "linux/arm64"],
    );
    await page.getByText("COPY program ./program").waitFor();
    assert.doesNotMatch(await page.locator("main").innerText(), /unknown/);
    await picture(window, "buildkit");
  });

  await flow("provenance of BuildKit is in words, for the platform that one chooses", async (window) => {
    const { page } = window;
    await page.goto("/r/team/web/-/tags/v2.3.0");
    await page.getByRole("link", { name: /^linux\/arm64/ }).click();
    await page.waitForURL("**?platform=linux%2Farm64");
    const node = page.locator(".tree > li").filter({ hasText: "in its index" });
    assert.equal(await node.count(), 1);
    await node.getByText("Provenance by SLSA").waitFor();
    await node.getByRole("button", { name: "Show content" }).click();
    await node.getByText("Started", { exact: true }).waitFor();
    await node.getByText("Show as text").click();
    await node.getByText('"containerimage.digest"').or(node.getByText("dockerfile.v0")).first().waitFor();
    await picture(window, "provenance");
  });

  await flow("signatures of cosign of both kinds say what they sign, and are folded in", async (window) => {
    const { page } = window;
    await page.goto("/r/team/web/-/tags/v2.3.0");
    const nodes = page.locator(".tree > li").filter({ hasText: "Signature" });
    await nodes.first().waitFor();
    assert.equal(await nodes.count(), 2);
    for (const way of ["refers to it", "by a tag of cosign"]) {
      const node = nodes.filter({ hasText: way });
      await node.getByRole("button", { name: "Show content" }).click();
      await node.getByRole("definition").filter({ hasText: web }).waitFor();
    }
    await verify(`${host}/team/web@${web}`);
    await picture(window, "signatures");
  });

  await flow("SBOMs of cosign and oras are lists of packages", async (window) => {
    const { page } = window;
    await page.goto("/r/team/web/-/tags/v2.3.0");
    const spdx = page.locator(".content").filter({ hasText: "SBOM in SPDX" });
    await spdx.getByRole("button", { name: "Show content" }).click();
    await spdx.getByText("10 packages · SPDX-2.3").waitFor();
    await spdx.getByLabel("Filter packages").fill("openssl");
    await spdx.getByText("No package matches.").waitFor();
    await spdx.getByLabel("Filter packages").fill("libssl3");
    await spdx.getByText("3.5.1-r0").waitFor();
    const cycloneDx = page.locator(".content").filter({ hasText: "sbom.cdx.json" });
    await cycloneDx.getByRole("button", { name: "Show content" }).click();
    await cycloneDx.getByText("3 packages · CycloneDX 1.6").waitFor();
    await checkAccessible(page, "SBOMs");
    await picture(window, "sboms");
  });

  await flow("a report that oras attached is read, and leads to what it is about", async ({ page }) => {
    await page.goto("/r/team/web/-/tags/v2.3.0");
    const report = page.locator(".tree > li").filter({ hasText: "tests.txt" });
    await report.getByRole("button", { name: "Show content" }).click();
    await report.getByText("412 tests passed").waitFor();
    await report.getByRole("link", { name: /^sha256:/ }).click();
    await page.getByRole("heading", { name: "Files" }).waitFor();
    await page.getByText("Refers to:").waitFor();
    await page
      .locator(".links")
      .getByRole("link", { name: web.slice(0, 19) })
      .click();
    await page.getByRole("heading", { name: web }).waitFor();
  });

  await flow("a chart says what it installs, and shows its README and values", async (window) => {
    const { page } = window;
    await page.goto("/r/charts/web");
    await page.getByRole("link", { name: "1.5.0_build.7" }).click();
    await page.getByText(`helm pull oci://${host}/charts/web --version 1.5.0+build.7`).waitFor();
    for (const text of ["v2.3.0", ">=1.31.0-0", "Anna Example anna@example.org", "shop, web"])
      await page.getByRole("definition").filter({ hasText: text }).first().waitFor();
    await page.getByRole("button", { name: "Show README and values" }).click();
    await page.getByRole("heading", { name: "Upgrading" }).waitFor();
    await page.getByText("values.yaml", { exact: true }).click();
    await page.getByText("replicaCount: 1").waitFor();
    await checkAccessible(page, "a chart");
    await picture(window, "chart");
  });

  await flow("an artifact of oras is a list of files that can be downloaded", async (window) => {
    const { page } = window;
    await page.goto("/r/models/intent");
    await page.getByRole("link", { name: "2026-11" }).click();
    await page.getByText(`oras pull ${host}/models/intent:2026-11`).waitFor();
    await page.getByText("Sorts what customers write", { exact: true }).waitFor();
    const file = page.locator(".content").filter({ hasText: "labels.json" });
    const [download] = await Promise.all([
      page.waitForEvent("download"),
      file.getByRole("link", { name: "Download" }).click(),
    ]);
    assert.equal(download.suggestedFilename(), "labels.json");
    assert.equal(await readFile(await download.path(), "utf8"), labels);
    await checkAccessible(page, "an artifact");
    await picture(window, "artifact");
  });

  await flow("search finds repositories, tags and digests", async ({ page }) => {
    for (const [typed, found, path] of [
      ["inten", "models/intent", "/r/models/intent"],
      ["web:1.5", "charts/web:1.5.0_build.7", "/r/charts/web/-/tags/1.5.0_build.7"],
      [web.slice(0, 30), "team/web:v2.3.0", "/r/team/web/-/tags/v2.3.0"],
    ] as const) {
      await page.keyboard.press("Control+k");
      await page.keyboard.type(typed);
      await page.getByRole("option", { name: found }).click();
      await page.waitForURL(`**${path}`);
    }
  });

  await flow("a token that is made on the page logs docker in", async ({ page }) => {
    await page.goto("/account");
    await page.getByLabel("What it is for").fill("laptop");
    await page.getByRole("button", { name: "Create token" }).click();
    const secret = await page.locator(".secret code").first().innerText();
    const line = await page.locator(".secret code").last().innerText();
    const [program = "", ...args] = line.split(" ");
    assert.equal(program, "docker");
    await docker([...args, "--password-stdin"], { input: secret });
    await docker(["pull", "--quiet", `${api}:v1.0.0`]);
    await page.reload();
    await page.getByRole("button", { name: "Delete: laptop" }).click();
    await page.getByText("No tokens yet").waitFor();
    await assert.rejects(docker(["push", `${api}:v1.0.0`]), /unauthorized|denied/i);
  });

  await flow("a tag that docker moved is put back on its own page, and docker pulls it", async ({ page }) => {
    await docker(["login", "--username", admin.name, "--password-stdin", host], { input: admin.password });
    await docker(["pull", "--quiet", `${api}:latest`]);
    const before = await docker(["image", "inspect", "--format", "{{.Id}}", `${api}:latest`]);
    await pushApi("three", "v1.2.0", "latest");
    await page.goto("/r/team/api/-/tags/latest");
    await page.getByText("History of this tag").click();
    await page.getByText("moved").waitFor();
    await page.getByRole("button", { name: "Put back" }).click();
    await page.getByText("latest was put back.").waitFor();
    await page.locator(".links").getByRole("link", { name: "v1.1.0" }).waitFor();
    await docker(["pull", "--quiet", `${api}:latest`]);
    const after = await docker(["image", "inspect", "--format", "{{.Id}}", `${api}:latest`]);
    assert.equal(after.stdout, before.stdout);
  });

  await flow("what oras deleted is restored, and pulled again", async ({ page }) => {
    const model = `${host}/models/intent:2026-11`;
    const { stdout } = await oras("resolve", model);
    await oras("manifest", "delete", "--force", `${host}/models/intent@${stdout.trim()}`);
    await page.goto("/deleted");
    await restore(page, "2026-11");
    assert.equal((await oras("resolve", model)).stdout, stdout);
  });

  await flow("rules: what holds here, and why a tag stays or goes", async (window) => {
    const { page } = window;
    await page.goto("/r/team/api/-/rules");
    await page.getByText("No rule is about this repository").waitFor();
    await pushApi("four", "pr-7");
    await server.putPolicies({ rules });
    await page.reload();
    await page.getByText("the 10 newest versions of").waitFor();
    await page.getByText("from rules[0]").first().waitFor();
    await checkAccessible(page, "rules");
    await picture(window, "rules");
    await page.goto("/r/team/api/-/tags/v1.1.0");
    await page.getByText("immutable").waitFor();
    await page.getByText("Kept by rules[0]: the 10 newest versions of v[0-9]*").waitFor();
    await picture(window, "tag-stays");
    await assert.rejects(pushApi("five", "v1.1.0"), /denied|keeps this tag/i);
    await page.goto("/r/team/api/-/tags/pr-7");
    await page.getByText(/^Nothing has kept it since/).waitFor();
    await checkAccessible(page, "a tag that goes");
    await page.getByRole("button", { name: "Hold" }).click();
    await page.getByText("It is held · by admin").waitFor();
    await page.goto("/r/team/api/-/rules");
    await page.getByRole("button", { name: "Release" }).click();
    await page.getByRole("heading", { name: "Tags that are held" }).waitFor({ state: "detached" });
    await page.goto("/r/models/intent/-/rules");
    await page.getByText("No rule is about this repository").waitFor();
  });

  await flow("usage counts what images share once", async (window) => {
    const { page } = window;
    await page.goto("/usage");
    await page.getByText("Saved by sharing").waitFor();
    assert.match(await page.locator("tbody tr").first().innerText(), /^team\/api/);
    await picture(window, "usage");
  });

  const screens = [
    "/",
    "/search?q=web",
    "/r/team/api",
    "/r/team/api/-/tags/v1.1.0",
    "/r/team/api/-/history",
    "/r/team/api/-/rules",
    "/r/team/api/-/untagged",
    "/r/team/api/-/settings",
    "/r/team/web",
    "/r/team/web/-/tags/v2.3.0",
    `/r/team/web/-/manifests/${web}`,
    "/r/charts/web",
    "/r/charts/web/-/tags/1.4.0",
    "/r/models/intent/-/tags/2026-11",
    "/usage",
    "/deleted",
    "/waiting",
    "/account",
  ];
  for (const [look, options] of Object.entries(looks)) {
    await flow(
      `axe finds nothing on any screen, in ${look}`,
      async (window) => {
        const { page } = window;
        for (const path of screens) {
          await page.goto(path);
          await page.waitForLoadState("networkidle");
          await checkAccessible(page, `${path} in ${look}`);
          const width = await page.evaluate("document.documentElement.scrollWidth - innerWidth");
          assert(Number(width) <= 0, `${path} is ${width} px too wide in ${look}`);
          if (look !== "light")
            await picture(window, `${look.replace(" ", "-")}-${path.replaceAll(/\W+/g, "-")}`);
        }
      },
      options,
    );
  }
});
