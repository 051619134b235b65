/** Finding repositories among very many: how long a key press takes, how many rows that reads, and how soon a push is found. */
import { startInstance } from "../../test/support/miniflare/instance.ts";
import { makeFolder } from "../files.ts";
import { newImage, pushImage } from "../image.ts";
import { type Comparison, type Figure, median } from "../measure.ts";
import { teams } from "../repositories.ts";
import type { Workload } from "../workload.ts";

const password = "only for a benchmark";
const fillAtOnce = 1000;
const grantsOfAccount = 10;
const mostMs = 50;
const mostSecondsToFind = 10;

/** What people type, and what they choose: words that are in many names, in one, in none; letters; lists without a word. */
const asked: Record<string, string> = {
  "a word in many names": "q=checkout",
  "two words": "q=billing%20team-03",
  "a word in no name": "q=xylophone",
  "two letters": "q=me",
  "a list by name": "sort=name",
  "a list by last push": "sort=pushed",
  "a list of one kind": "sort=size&kind=image",
  "a tag": "q=checkout:v1",
};

type Caller = { name: string; authorization: string };

/** Reads from the management API; returns how long that took, in milliseconds, and what came. */
async function ask(url: string, path: string, authorization: string): Promise<{ ms: number; text: string }> {
  const startedAt = performance.now();
  const answer = await fetch(`${url}/api/v1${path}`, { headers: { Authorization: authorization } });
  const text = await answer.text();
  if (!answer.ok) throw new Error(`${path}: ${answer.status} ${text}`);
  return { ms: performance.now() - startedAt, text };
}

async function post(url: string, path: string): Promise<string> {
  const answer = await fetch(`${url}${path}`, { method: "POST" });
  if (!answer.ok) throw new Error(`${path}: ${answer.status} ${await answer.text()}`);
  return answer.text();
}

/** Pushes to a new repository; returns how many seconds later it is found. */
async function secondsUntilFound(url: string, authorization: string): Promise<number> {
  const name = `team-00/found-${crypto.randomUUID()}`;
  const startedAt = performance.now();
  await pushImage({ name: "stowage", url, authorization }, name, "v1", newImage(1, 1024));
  for (;;) {
    const { text } = await ask(url, `/search?q=${name}`, authorization);
    const seconds = (performance.now() - startedAt) / 1000;
    if (text.includes(name)) return seconds;
    if (seconds > 6 * mostSecondsToFind) throw new Error(`${name} is not found`);
  }
}

/** An account that may pull what some of the teams have. */
async function makeAccount(url: string, administrator: string): Promise<string> {
  const grants = Array.from({ length: grantsOfAccount }, (_, index) => {
    const team = String((index * 7) % teams).padStart(2, "0");
    return { repository: `team-${team}/**`, verbs: ["pull"] };
  });
  const answer = await fetch(`${url}/api/v1/accounts/member`, {
    method: "PUT",
    headers: { Authorization: administrator, "Content-Type": "application/json" },
    body: JSON.stringify({ password, grants }),
  });
  if (!answer.ok) throw new Error(`an account: ${answer.status} ${await answer.text()}`);
  return basic("member");
}

function basic(name: string): string {
  return `Basic ${Buffer.from(`${name}:${password}`).toString("base64")}`;
}

/** Questions of an account with ten grants, and of an administrator. */
export const search: Workload = {
  name: "search",
  shows: "milliseconds to find repositories, by the management API, and the rows that are read for that",
  isLong: true,
  run: async ({ repetitions, isQuick, progress }) => {
    const count = isQuick ? 5_000 : 100_000;
    await using data = await makeFolder();
    await using instance = await startInstance({
      dataDirectory: data.path,
      bucket: "disk",
      entry: "bench/worker/search.ts",
      vars: { ADMIN_PASSWORD: password, LOG_FORMAT: "none" },
    });
    const { url } = instance;
    for (let from = 0; from < count; from += fillAtOnce) {
      await post(url, `/bench/fill?from=${from}&count=${fillAtOnce}`);
      if (from % (count / 10) === 0) progress(`${from} of ${count} repositories`);
    }
    const administrator = basic("admin");
    const callers: Caller[] = [
      { name: "ten grants", authorization: await makeAccount(url, administrator) },
      { name: "administrator", authorization: administrator },
    ];
    const figures: Figure[] = [];
    const comparisons: Comparison[] = [];
    for (const { name: caller, authorization } of callers) {
      for (const [what, query] of Object.entries(asked)) {
        const path = `/search?${query}`;
        await ask(url, path, authorization);
        await post(url, "/bench/rows");
        await ask(url, path, authorization);
        const rows = Number(await post(url, "/bench/rows"));
        const figure: Figure = { name: `${what}, ${caller} (${rows} rows read)`, unit: "ms", samples: [] };
        for (let turn = 0; turn < repetitions * 10; turn++)
          figure.samples.push((await ask(url, path, authorization)).ms);
        figures.push(figure);
        progress(`${figure.name}: ${median(figure.samples).toFixed(1)} ms`);
      }
    }
    const found: Figure = { name: "a push is found", unit: "s", samples: [] };
    for (let turn = 0; turn < repetitions; turn++)
      found.samples.push(await secondsUntilFound(url, administrator));
    const all = figures.filter(({ name }) => name.includes("ten grants")).flatMap(({ samples }) => samples);
    comparisons.push(
      { name: "the median with ten grants", value: median(all), unit: "ms", limit: mostMs },
      {
        name: "the slowest find of a push",
        value: Math.max(...found.samples),
        unit: "s",
        limit: mostSecondsToFind,
      },
    );
    return { figures: [...figures, found], comparisons };
  },
};
