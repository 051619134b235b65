/**
 * The interface in a real browser, by people of all kinds: what they see, what they can do, that nothing of it is a
 * barrier, and that the browser has nothing to complain about. It also makes the pictures in docs/pictures.
 */
import assert from "node:assert/strict";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import test, { describe } from "node:test";
import { admin, startClosedRegistry } from "../support/closed-registry.ts";
import { startRegistry, until } from "../support/registry.ts";
import { hourMs, startTimedRegistry } from "../support/timed-registry.ts";
import {
  checkAccessible,
  isRefusal,
  restore,
  signIn,
  skipsBrowser,
  type Visit,
  visit,
  workIn,
} from "./support/browser.ts";
import { pushSample } from "./support/sample.ts";

const pictures = join(import.meta.dirname, "..", "..", "docs", "pictures");
const makesPictures = process.env.PICTURES !== undefined;

/** What a test does in a window whose browser complains of nothing. */
function inWindow(
  name: string,
  open: () => Promise<Visit>,
  work: (visit: Visit) => Promise<void>,
  refusals: number[] = [],
): void {
  test(name, async () => workIn(await open(), work, refusals));
}

describe("the interface", { skip: skipsBrowser }, async () => {
  if (skipsBrowser !== false) return;
  const registry = await startClosedRegistry();
  const client = registry.as(admin);

  const signedOut = () => visit(registry.url);
  const as =
    (name: string, password: string, options = {}) =>
    async () => {
      const window = await visit(registry.url, options);
      await window.page.goto("/sign-in");
      for (const value of await signIn(window.page, name, password)) registry.secrets.add(value);
      assert.deepEqual(window.troubles, []);
      window.requests.length = 0;
      return window;
    };
  const asAdmin = as(admin.name, admin.password);

  async function picture({ page }: Visit, name: string): Promise<void> {
    if (!makesPictures) return;
    mkdirSync(pictures, { recursive: true });
    await page.screenshot({ path: join(pictures, `${name}.png`), animations: "disabled" });
  }

  inWindow(
    "the first visit to an empty registry says how to begin",
    signedOut,
    async ({ page }) => {
      await page.goto("/");
      await page.getByText("There is nothing public here").waitFor();
      await page.getByRole("link", { name: "Sign in" }).click();
      await page.getByLabel("Account").fill("admin");
      await page.getByLabel("Password or access token").fill("a wrong password");
      await page.getByRole("button", { name: "Sign in" }).click();
      await page.getByText("Unknown account or wrong password.").waitFor();
    },
    [401],
  );

  inWindow("who signs in to an empty registry is told how to push", asAdmin, async (window) => {
    const { page } = window;
    await page.getByText(`docker login -u admin ${new URL(registry.url).host}`).waitFor();
    await page.getByText(/docker push .*\/team\/app:v1/).waitFor();
    await checkAccessible(page, "an empty registry");
  });

  test("a team pushes its images", async () => {
    await pushSample(client);
    await registry.setVisibility("library/node", "public");
    await client.must(200, "PATCH", "/api/v1/repositories/team/shop", {
      json: {
        description:
          "The **shop** of example.org.\n\n- listens on port `8080`\n- [source](https://git.example.org/team/shop)",
      },
    });
    await client.must(200, "PATCH", "/api/v1/repositories/library/node", {
      json: { description: "Node.js on Debian, the base of our services" },
    });
    await until("all to be found", async () => {
      const answer = await client.must(200, "GET", "/api/v1/search?q=shop&sort=name");
      const { repositories } = answer.json<{ repositories: { tags: number; description: string }[] }>();
      return repositories.length === 2 && repositories[1]?.tags === 6 && repositories[1].description !== "";
    });
  });

  inWindow("who is not signed in sees what is public, and nothing else", signedOut, async (window) => {
    const { page } = window;
    await page.goto("/");
    await page.getByRole("link", { name: "library/node" }).waitFor();
    assert.equal(await page.getByRole("row").count(), 2);
    await page.getByRole("link", { name: "library/node" }).click();
    await page.getByRole("link", { name: "v0.9.0" }).waitFor();
    for (const name of ["Settings", "History", "Untagged"])
      assert.equal(await page.getByRole("link", { name }).count(), 0, name);
  });

  test("a repository that is private answers like one that does not exist", async () => {
    const texts = [];
    for (const name of ["team/shop", "team/none"]) {
      const { page, context } = await signedOut();
      await page.goto(`/r/${name}`);
      await page.getByRole("alert").first().waitFor();
      // Each of its requests is refused: its tags may be before it is itself.
      await page.getByRole("navigation", { name, exact: true }).waitFor({ state: "detached" });
      texts.push((await page.locator("main").innerText()).replaceAll(/shop|none|[0-9a-f-]{36}/g, ""));
      await context.close();
    }
    assert.equal(texts[0], texts[1]);
  });

  inWindow(
    "repositories are listed with one request, sorted and filtered, and back keeps the filters",
    asAdmin,
    async (window) => {
      const { page, requests } = window;
      await page.goto("/");
      await page.getByRole("link", { name: "team/shop" }).waitFor();
      assert.deepEqual(requests.toSorted(), ["GET /api/v1/search", "GET /api/v1/session"]);
      await picture(window, "repositories");
      await page.getByLabel("Content").selectOption("chart");
      await page.getByRole("link", { name: "team/shop" }).waitFor({ state: "detached" });
      assert.equal(await page.getByRole("row").count(), 2);
      await page.getByRole("link", { name: "charts/shop" }).click();
      await page.getByText(/^helm pull oci:/).waitFor();
      await page.goBack();
      await page.getByRole("link", { name: "charts/shop" }).waitFor();
      assert.equal(await page.getByLabel("Content").inputValue(), "chart");
      await page.getByRole("link", { name: "Remove filters" }).click();
      await page.getByLabel("View").selectOption("folders");
      await page.getByText("team/", { exact: true }).first().waitFor();
      assert.equal(await page.locator("details").count(), 4);
    },
  );

  inWindow("search works from anywhere by keyboard", asAdmin, async (window) => {
    const { page } = window;
    await page.goto("/usage");
    await page.getByRole("heading", { name: "Usage" }).waitFor();
    await page.keyboard.press("/");
    await page.keyboard.type("checko");
    await page.getByRole("option", { name: "team/checkout" }).waitFor();
    await page.keyboard.press("ArrowDown");
    await page.keyboard.press("Enter");
    await page.waitForURL("**/r/team/checkout");
    await page.getByRole("link", { name: "v0.9.0" }).first().waitFor();
    await page.keyboard.press("Control+k");
    await page.keyboard.type("team/shop:v1.3");
    await page.getByRole("option", { name: "team/shop:v1.3.1" }).click();
    await page.waitForURL("**/r/team/shop/-/tags/v1.3.1");
    await page.keyboard.press("Control+k");
    await page.keyboard.type("zzzz");
    await page.keyboard.press("Enter");
    await page.getByText("No repository matches").waitFor();
  });

  inWindow(
    "a repository shows its tags, the latest version first, and those of one manifest together",
    asAdmin,
    async (window) => {
      const { page, requests } = window;
      await page.getByRole("link", { name: "team/shop" }).click();
      await page.getByRole("link", { name: "v1.4.0", exact: true }).waitFor();
      const api = requests.filter((request) => request.includes("/repositories/"));
      assert.deepEqual(api.toSorted(), [
        "GET /api/v1/repositories/team/shop",
        "GET /api/v1/repositories/team/shop/tags",
      ]);
      const rows = await page.locator("tbody tr").allInnerTexts();
      assert.deepEqual(
        rows.map((row) => row.split(/\s/)[0]),
        ["v1.4.0", "v1.3.1", "v1.3.0", "v1.2.0"],
      );
      assert.match(rows[0] ?? "", /v1\.4\s+latest[\s\S]*linux\/amd64[\s\S]*signed/);
      await picture(window, "tags");
      await page.getByLabel("Filter tags").fill("1.3");
      await page.getByRole("link", { name: "v1.4.0", exact: true }).waitFor({ state: "detached" });
      assert.equal(await page.locator("tbody tr").count(), 2);
      await page.getByLabel("Filter tags").fill("nothing like that");
      await page.getByText("No tag contains that.").waitFor();
    },
  );

  inWindow(
    "the pull command is for the tool that one chooses, and can be copied",
    asAdmin,
    async ({ page }) => {
      await page.goto("/r/team/shop");
      const host = new URL(registry.url).host;
      await page.getByText(`docker pull ${host}/team/shop:v1.4.0`).waitFor();
      await page.locator(".pull select").first().selectOption("podman");
      await page.getByText(`podman pull ${host}/team/shop:v1.4.0`).waitFor();
      await page.getByRole("button", { name: /^Copy: podman pull/ }).click();
      await page.getByText("Copied").waitFor();
      assert.equal(
        await page.evaluate("navigator.clipboard.readText()"),
        `podman pull ${host}/team/shop:v1.4.0`,
      );
      await page.reload();
      await page.getByText(`podman pull ${host}/team/shop:v1.4.0`).waitFor();
    },
  );

  inWindow(
    "a tag shows platforms, layers with their commands, configuration and the manifest",
    asAdmin,
    async (window) => {
      const { page, requests } = window;
      await page.goto("/r/team/shop/-/tags/v1.4.0");
      await page.getByText("RUN npm ci --omit=dev").waitFor();
      assert.deepEqual(requests.filter((request) => request.includes("/repositories/")).toSorted(), [
        "GET /api/v1/repositories/team/shop/policy",
        "GET /api/v1/repositories/team/shop/references/v1.4.0",
      ]);
      assert.equal(await page.locator(".layer").count(), 6);
      await page.getByLabel("Show settings").check();
      await page.getByText("EXPOSE map[8080/tcp:{}]").waitFor();
      assert.equal(await page.locator(".layer").count(), 10);
      await page.getByText("NODE_ENV").waitFor();
      await page.getByLabel("Show settings").uncheck();
      await picture(window, "image");
      await page.getByRole("link", { name: /^linux\/arm64/ }).click();
      await page.waitForURL("**?platform=linux%2Farm64");
      await page.getByRole("definition").filter({ hasText: "linux/arm64" }).waitFor();
      await page.getByText("Manifest as it was pushed").click();
      await page.getByText('"schemaVersion": 2').waitFor();
    },
  );

  inWindow(
    "an SBOM is a list of packages that can be searched, and provenance is in words",
    asAdmin,
    async (window) => {
      const { page } = window;
      await page.goto("/r/team/shop/-/tags/v1.4.0");
      await page.getByText("SBOM in SPDX").waitFor();
      const contents = page.getByRole("button", { name: "Show content" });
      await contents.nth(1).click();
      await page.getByText("5 packages · SPDX-2.3").waitFor();
      await page.getByLabel("Filter packages").fill("openssl");
      await page.getByText("1 package · SPDX-2.3").waitFor();
      await page.getByText("Apache-2.0").waitFor();
      await contents.last().click();
      await page.getByText("https://ci.example.org/pipelines/shop/4711").first().waitFor();
      await page.getByText("Built by").scrollIntoViewIfNeeded();
      await checkAccessible(page, "attached content");
      await picture(window, "attached");
    },
  );

  inWindow(
    "a tag that moved is put back with a click, and that is undone with another",
    asAdmin,
    async (window) => {
      const { page } = window;
      const first = await client.pushImage("team/mailer", "stable");
      const second = await client.pushImage("team/mailer", "stable");
      const pointsAt = async () => {
        const answer = await client.must(200, "GET", "/api/v1/repositories/team/mailer/tags/stable");
        return answer.json<{ digest: string }>().digest;
      };
      await page.goto("/r/team/mailer/-/history");
      await page.getByText("moved").first().waitFor();
      await checkAccessible(page, "history");
      await page.getByRole("button", { name: "Put back" }).first().click();
      await page.getByText("stable was put back.").waitFor();
      assert.equal(await pointsAt(), first.digest);
      await page.getByRole("button", { name: "Undo" }).click();
      await page.getByText("stable was put back.").waitFor({ state: "detached" });
      assert.equal(await pointsAt(), second.digest);
    },
  );

  inWindow("manifests without a tag are listed apart", asAdmin, async ({ page }) => {
    await page.goto("/r/team/mailer/-/untagged");
    await page.getByText("No tag, index or subject leads to these manifests.").waitFor();
    assert.equal(await page.locator("tbody tr").count(), 1);
    await page.goto("/r/team/shop/-/untagged");
    await page.getByText("Every manifest has a tag").waitFor();
  });

  inWindow(
    "visibility is changed knowing who may pull then, and the description is Markdown",
    asAdmin,
    async ({ page }) => {
      await page.goto("/r/team/checkout/-/settings");
      await page.getByLabel("Public").check();
      await page.getByText("will be able to pull team/checkout").waitFor();
      await page.getByRole("button", { name: "Change" }).click();
      await page.getByText("Saved").first().waitFor();
      const shown = await registry.must(200, "GET", "/api/v1/repositories/team/checkout");
      assert.equal(shown.json<{ visibility: string }>().visibility, "public");
      const texts = { Description: "Takes *money*.", README: "# Checkout\n\nTakes **money** by card." };
      for (const [name, text] of Object.entries(texts)) {
        const form = page.locator("form").filter({ has: page.getByRole("textbox", { name }) });
        await form.getByRole("textbox").fill(text);
        await form.getByRole("button", { name: "Save" }).click();
        await form.getByText("Saved").waitFor();
      }
      await checkAccessible(page, "settings");
      await page.getByRole("link", { name: "About" }).click();
      await page.getByRole("heading", { name: "Checkout", exact: true }).waitFor();
      await page.getByText("Takes money by card.").waitFor();
    },
  );

  inWindow("what was deleted is restored with a click", asAdmin, async (window) => {
    const { page } = window;
    const image = await client.pushImage("team/mailer", "gone");
    await client.must(202, "DELETE", `/v2/team/mailer/manifests/${image.digest}`);
    await page.getByRole("link", { name: "Deleted" }).click();
    await page.getByText("gone", { exact: true }).waitFor();
    await checkAccessible(page, "deleted");
    await restore(page, "gone");
    await client.must(200, "GET", "/v2/team/mailer/manifests/gone");
  });

  inWindow("usage shows what is largest", asAdmin, async (window) => {
    const { page } = window;
    await page.getByRole("link", { name: "Usage" }).click();
    await page.getByText("Saved by sharing").waitFor();
    assert.match((await page.locator("tbody tr").first().innerText()) ?? "", /^team\/shop/);
    await checkAccessible(page, "usage");
    await page.getByLabel("Not used for").selectOption("90");
    await page.getByText("Everything was used in this time.").waitFor();
  });

  test("an account makes a token, uses it, deletes it, and changes its password", async () => {
    const { name, password } = await registry.account("anna", [
      { repository: "team/**", verbs: ["pull", "push"] },
    ]);
    const window = await as(name, password)();
    const { page, troubles } = window;
    await page.getByRole("link", { name, exact: true }).click();
    await page.getByText("team/**").first().waitFor();
    assert.equal(await page.getByRole("link", { name: "Usage" }).count(), 0);
    await page.getByLabel("What it is for").fill("pipeline");
    await page.getByLabel("Limit to repositories").fill("team/shop");
    await page.getByRole("button", { name: "Create token" }).click();
    const secret = await page.locator(".secret code").first().innerText();
    registry.secrets.add(secret);
    await registry.must(200, "GET", "/v2/team/shop/manifests/latest", { as: secret });
    await page.getByText(`docker login -u anna ${new URL(registry.url).host}`).waitFor();
    await checkAccessible(page, "account");
    await page.getByRole("button", { name: "Close" }).click();
    assert.equal(await page.getByText(secret).count(), 0);
    await page.reload();
    await page.getByRole("button", { name: "Delete: pipeline" }).click();
    await page.getByText("No tokens yet").waitFor();
    await registry.must(401, "GET", "/v2/team/shop/manifests/latest", { as: secret });
    const next = "the next long password";
    registry.secrets.add(next);
    await page.getByLabel("Current password").fill(password);
    await page.getByLabel("New password").fill(next);
    await page.getByRole("button", { name: "Change password" }).click();
    await page.getByText("Your password is changed.").waitFor();
    for (const { value } of await page.context().cookies()) registry.secrets.add(value);
    await page.reload();
    await page.getByRole("link", { name, exact: true }).waitFor();
    await page.getByRole("button", { name: "Sign out" }).click();
    await page.getByRole("link", { name: "Sign in" }).waitFor();
    await page.goto("/r/team/shop");
    await page.getByText("There is nothing here that you may see.").waitFor();
    await page.context().close();
    // What the browser itself notes of answers that are refused.
    assert.deepEqual(
      troubles.filter((trouble) => !isRefusal(trouble, [401])),
      [],
    );
  });

  inWindow(
    "the page speaks German where the browser does",
    () => visit(registry.url, { locale: "de-DE" }),
    async ({ page }) => {
      await page.goto("/");
      await page.getByRole("heading", { name: "Repositorys" }).waitFor();
      assert.equal(await page.locator("html").getAttribute("lang"), "de");
      await page.getByLabel("Sprache").selectOption("en");
      await page.getByRole("heading", { name: "Repositories" }).waitFor();
      await page.reload();
      await page.getByRole("heading", { name: "Repositories" }).waitFor();
    },
  );

  const screens = [
    "/",
    "/search?q=shop",
    "/r/team/shop",
    "/r/team/shop/-/tags/v1.4.0",
    "/r/team/shop/-/readme",
    "/r/team/shop/-/history",
    "/r/team/shop/-/untagged",
    "/r/team/shop/-/settings",
    "/usage",
    "/deleted",
    "/account",
    "/r/charts/shop/-/tags/2.1.0",
    "/nothing/-",
  ];
  const looks = {
    light: { colorScheme: "light" },
    dark: { colorScheme: "dark" },
    "a phone": { viewport: { width: 390, height: 800 } },
  } as const;
  for (const [look, options] of Object.entries(looks)) {
    inWindow(
      `axe finds nothing on any screen, in ${look}`,
      as(admin.name, admin.password, options),
      async (window) => {
        const { page } = window;
        for (const path of screens) {
          if (path === "/nothing/-")
            await page.evaluate(
              'history.pushState(null, "", "/nothing/-"), dispatchEvent(new PopStateEvent("popstate"))',
            );
          else await page.goto(path);
          await page.waitForLoadState("networkidle");
          await page.locator("main h1, main h2").first().waitFor();
          await checkAccessible(page, `${path} in ${look}`);
          const width: number = await page.evaluate("document.documentElement.scrollWidth - innerWidth");
          assert(width <= 0, `${path} is ${width} px too wide in ${look}`);
          if (path.endsWith("v1.4.0") && look === "dark") await picture(window, "image-dark");
          if (path === "/r/team/shop" && look === "a phone") await picture(window, "tags-phone");
        }
      },
    );
  }

  inWindow("nobody is asked to sign in over plain http from elsewhere", signedOut, async ({ page }) => {
    // A name that is neither https nor this machine, as browsers judge it.
    await page.addInitScript({
      content: "Object.defineProperty(window, 'isSecureContext', { value: false })",
    });
    await page.goto("/sign-in");
    await page.getByText("Signing in needs https").waitFor();
  });

  test("looking is not pulling", async () => {
    const shown = await client.must(200, "GET", "/api/v1/repositories/team/shop");
    const { pulls, lastUsed } = shown.json<{ pulls: number; lastUsed?: string }>();
    // Only the token of a test has pulled.
    assert(pulls <= 1, String(pulls));
    const untouched = await client.must(200, "GET", "/api/v1/repositories/charts/shop");
    assert.equal(untouched.json<{ lastUsed?: string }>().lastUsed, undefined, lastUsed);
  });
});

describe("a run of retention that waits", { skip: skipsBrowser }, async () => {
  if (skipsBrowser !== false) return;
  const { registry, advance, runAlarm } = await startTimedRegistry();
  inWindow(
    "is shown with what it would remove, and begins when somebody confirms it",
    () => visit(registry.url),
    async ({ page }) => {
      for (let build = 1; build <= 12; build++) await registry.pushImage("team/app", `pr-${build}`);
      const remaining = await registry.pushImage("team/app", "v1");
      const rules = [{ repositories: ["team/**"], remove: { tags: ["pr-*"] } }];
      await registry.must(200, "PUT", "/api/v1/policies", { json: { rules } });
      await runAlarm("CATALOG", "catalog");
      await advance(24 * hourMs);
      await runAlarm("LEDGERS", "team/app");
      await page.goto("/waiting");
      await page.getByText("A run waits that would remove 12 of 13 tags.").waitFor();
      await checkAccessible(page, "a run that waits");
      await page.getByRole("link", { name: "team/app" }).click();
      await page.getByRole("button", { name: "Let it run" }).click();
      await page.getByRole("button", { name: "Let it run" }).waitFor({ state: "detached" });
      await runAlarm("LEDGERS", "team/app");
      await page.goto("/waiting");
      await page.getByText("No run waits").waitFor();
      await page.goto("/r/team/app");
      await page.getByRole("link", { name: "v1", exact: true }).waitFor();
      assert.equal(await page.getByRole("link", { name: /^pr-/ }).count(), 0);
      await registry.must(200, "GET", `/v2/team/app/manifests/${remaining.digest}`);
      await page.goto("/deleted");
      await restore(page, "pr-12");
      await registry.must(200, "GET", "/v2/team/app/manifests/pr-12");
    },
  );
});

describe("an open registry", { skip: skipsBrowser }, async () => {
  if (skipsBrowser !== false) return;
  const open = await startRegistry();
  inWindow(
    "shows everything to everybody, and asks for no account",
    () => visit(open.url),
    async ({ page }) => {
      await open.pushImage("team/app", "v1");
      await page.goto("/r/team/app");
      await page.getByRole("link", { name: "v1", exact: true }).waitFor();
      await page.getByText("Open registry").waitFor();
      assert.equal(await page.getByRole("link", { name: "Sign in" }).count(), 0);
      await checkAccessible(page, "an open registry");
    },
  );
});
