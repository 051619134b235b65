/** A browser for tests of the interface: Debian's Chromium, whose every message and report fails the test. */
import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { after } from "node:test";
import {
  type Browser,
  type BrowserContext,
  type BrowserContextOptions,
  chromium,
  type Page,
} from "playwright-core";

/** Where distributions put it. CHROMIUM names another one. */
const executable = [process.env.CHROMIUM, "/usr/bin/chromium", "/usr/bin/chromium-browser"].find(
  (path) => path !== undefined && existsSync(path),
);

/** Why tests in a browser are skipped: without one, and where the CI does not demand it. */
export const skipsBrowser: string | false =
  executable === undefined && process.env.CI === undefined ? "there is no Chromium on this machine" : false;

let started: Promise<Browser> | undefined;

function browser(): Promise<Browser> {
  assert(executable !== undefined, "there is no Chromium: install it, or name it by CHROMIUM");
  started ??= chromium.launch({ executablePath: executable, args: ["--no-sandbox"] });
  return started;
}

after(async () => (await started)?.close());

/** A browser's window, with what went wrong in it. */
export type Visit = {
  page: Page;
  context: BrowserContext;
  /** Messages of the console, errors of scripts, and reports of the policy. */
  troubles: string[];
  /** Requests of the interface to the management API since they were last counted. */
  requests: string[];
};

/** Opens a window that nobody has used before. It is closed after the tests. */
export async function visit(url: string, options: BrowserContextOptions = {}): Promise<Visit> {
  const context = await (await browser()).newContext({
    baseURL: url,
    viewport: { width: 1280, height: 860 },
    locale: "en-GB",
    timezoneId: "UTC",
    colorScheme: "light",
    permissions: ["clipboard-read", "clipboard-write"],
    ...options,
  });
  context.setDefaultTimeout(20_000);
  const page = await context.newPage();
  const troubles: string[] = [];
  const requests: string[] = [];
  page.on("console", (message) => troubles.push(`console: ${message.text()}`));
  page.on("pageerror", (error) => troubles.push(`error: ${error.message}`));
  page.on("dialog", (dialog) => {
    if (dialog.type() !== "confirm") troubles.push(`dialog: ${dialog.message()}`);
    void dialog.accept();
  });
  page.on("request", (request) => {
    const { pathname } = new URL(request.url());
    if (pathname.startsWith("/api/")) requests.push(`${request.method()} ${pathname}`);
    if (pathname.startsWith("/v2/")) troubles.push(`the interface asked for ${pathname}`);
  });
  await page.addInitScript({
    content: `document.addEventListener("securitypolicyviolation", (event) => {
      console.warn("policy: " + event.violatedDirective + " " + event.blockedURI + " " + event.sample);
    });`,
  });
  after(() => context.close());
  return { page, context, troubles, requests };
}

/** Whether the browser notes by itself that an answer had a status of these. */
export function isRefusal(trouble: string, statuses: readonly number[]): boolean {
  return statuses.some((status) => trouble.includes(`responded with a status of ${status}`));
}

/** Fills the sign-in page in, and waits until somebody is signed in. Returns the cookies' values, which are secrets. */
export async function signIn(page: Page, name: string, password: string): Promise<string[]> {
  await page.getByLabel("Account").fill(name);
  await page.getByLabel("Password or access token").fill(password);
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.getByRole("link", { name, exact: true }).waitFor();
  return (await page.context().cookies()).map(({ value }) => value);
}

/** On the page of what was deleted, puts back what has this text in its line, and waits until it is back. */
export async function restore(page: Page, text: string): Promise<void> {
  await page.getByRole("row").filter({ hasText: text }).getByRole("button", { name: "Restore" }).click();
  await page.getByText("Restored", { exact: true }).waitFor();
}

/** Works in a window, and closes it. Fails if the browser complains of more than answers with these statuses. */
export async function workIn(
  window: Visit,
  work: (window: Visit) => Promise<void>,
  refusals: readonly number[] = [],
): Promise<void> {
  try {
    await work(window);
    assert.deepEqual(
      window.troubles.filter((trouble) => !isRefusal(trouble, refusals)),
      [],
    );
  } finally {
    await window.context.close();
  }
}

const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

/** Fails if axe finds anything wrong with how the page can be used. */
export async function checkAccessible(page: Page, what: string): Promise<void> {
  await page.evaluate(axe);
  const { violations }: AxeResult = await page.evaluate("axe.run()");
  const found = violations.map(({ id, help, nodes }) => {
    return `${id}: ${help}: ${nodes.map(({ html, failureSummary }) => `${html} ${failureSummary ?? ""}`).join("; ")}`;
  });
  assert.deepEqual(found, [], what);
}

type AxeResult = {
  violations: { id: string; help: string; nodes: { html: string; failureSummary?: string }[] }[];
};
