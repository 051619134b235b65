/** Whether the time of a refusal tells a private repository from a name that nobody pushed to. */
import { once } from "node:events";
import { Agent, request as httpRequest, type IncomingMessage } from "node:http";
import { makeFolder } from "../files.ts";
import { newImage, pushImage } from "../image.ts";
import { type Comparison, type Figure, median } from "../measure.ts";
import { startProgram } from "../program.ts";
import type { Target } from "../target.ts";
import type { Workload } from "../workload.ts";

const password = "only for a benchmark";
const adminAuthorization = basic("admin");
const addressHeader = "X-Real-IP";
const mostRight = 0.6;

/** How often each name is asked for after the first time. */
const repeats = 20;

/** How many accounts ask in turn: the registry refuses one that has asked for 300 in a minute without a look-up. */
const accounts = Array.from({ length: 100 }, (_, index) => `asks-${index}`);

/** Who asks for the names. Each request comes from somebody else, so that no limit ends it. */
type Caller = { name: string; headersOf(count: number): Record<string, string>; refusal: number };

const callers: Caller[] = [
  {
    name: "without login",
    headersOf: (count) => ({ [addressHeader]: `10.${count >> 16}.${(count >> 8) & 255}.${count & 255}` }),
    refusal: 401,
  },
  {
    name: "with login",
    headersOf: (count) => ({ Authorization: basic(accounts[count % accounts.length] ?? "") }),
    refusal: 403,
  },
];

type Name = { path: string; isPrivate: boolean };

/** The times of a name in milliseconds: of the first request, and the median of those after it. */
type Timed = Name & { firstMs: number; laterMs: number };

function shuffled<T>(items: readonly T[]): T[] {
  return items
    .map((item) => ({ item, at: Math.random() }))
    .sort((one, other) => one.at - other.at)
    .map(({ item }) => item);
}

function basic(account: string): string {
  return `Basic ${Buffer.from(`${account}:${password}`).toString("base64")}`;
}

function newName(): string {
  return `team/${crypto.randomUUID()}`;
}

let asked = 0;

/** A way to ask for a path, which returns how long the refusal took. */
type Ask = (path: string) => Promise<number>;

async function refusalMs(target: Target, caller: Caller, path: string, agent: Agent): Promise<number> {
  const headers = caller.headersOf(asked++);
  const startedAt = performance.now();
  const request = httpRequest(target.url + path, { agent, headers });
  request.end();
  const [response] = (await once(request, "response")) as [IncomingMessage];
  const elapsedMs = performance.now() - startedAt;
  response.resume();
  await once(response, "end");
  if (response.statusCode !== caller.refusal) throw new Error(`${path}: ${response.statusCode}`);
  return elapsedMs;
}

async function time(target: Target, caller: Caller, names: readonly Name[]): Promise<Timed[]> {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  const ask: Ask = (path) => refusalMs(target, caller, path, agent);
  try {
    // Twice each account: a password is remembered once it was checked.
    for (let warmUp = 0; warmUp < 2 * accounts.length; warmUp++) await ask(`/v2/${newName()}/manifests/v1`);
    return await timeEach(ask, names);
  } finally {
    agent.destroy();
  }
}

async function timeEach(ask: Ask, names: readonly Name[]): Promise<Timed[]> {
  const firsts = new Map<Name, number>();
  for (const name of shuffled(names)) firsts.set(name, await ask(name.path));
  const laters = new Map<Name, number[]>();
  for (let repeat = 0; repeat < repeats; repeat++) {
    for (const name of shuffled(names)) {
      const before = laters.get(name) ?? [];
      laters.set(name, [...before, await ask(name.path)]);
    }
  }
  return names.map((name) => ({
    ...name,
    firstMs: firsts.get(name) ?? Number.NaN,
    laterMs: median(laters.get(name) ?? []),
  }));
}

/** Makes an account that may pull something else. */
async function makeAccount({ url }: Target, account: string): Promise<void> {
  const body = { grants: [{ repository: "other/**", verbs: ["pull"] }], password };
  const answer = await fetch(`${url}/api/v1/accounts/${account}`, {
    method: "PUT",
    headers: { Authorization: adminAuthorization, "Content-Type": "application/json" },
    body: JSON.stringify(body),
  });
  if (!answer.ok) throw new Error(`${account}: ${answer.status}`);
}

type Rule = { threshold: number; isPrivateBelow: boolean };

/** The share of names that a rule is right about. */
function shareRight(times: readonly Timed[], of: (timed: Timed) => number, rule: Rule): number {
  const right = times.filter(
    (timed) => (of(timed) < rule.threshold === rule.isPrivateBelow) === timed.isPrivate,
  );
  return right.length / times.length;
}

/** The rule that is best for one half of the names, and how often it is right about the other half. */
function guess(times: readonly Timed[], of: (timed: Timed) => number): number {
  const known = times.filter((_, index) => index % 2 === 0);
  const others = times.filter((_, index) => index % 2 === 1);
  const rules = known
    .map(of)
    .flatMap((threshold) => [true, false].map((isPrivateBelow) => ({ threshold, isPrivateBelow })));
  const [best] = rules.toSorted((one, other) => shareRight(known, of, other) - shareRight(known, of, one));
  if (best === undefined) throw new Error("there are no names");
  return shareRight(others, of, best);
}

/** A new data directory with as many private repositories, in a server that was started anew on it. */
async function measure(caller: Caller, count: number): Promise<Timed[]> {
  await using data = await makeFolder();
  const environment = { ADMIN_PASSWORD: password };
  const variables = { ADDRESS_HEADER: addressHeader };
  const names = Array.from({ length: count }, newName);
  {
    await using server = await startProgram(data.path, [], variables, environment);
    for (const account of accounts) await makeAccount(server, account);
    const image = newImage(1, 1024);
    for (const name of names)
      await pushImage({ ...server, authorization: adminAuthorization }, name, "v1", image);
  }
  await using server = await startProgram(data.path, [], variables, environment);
  const privates = names.map((name) => ({ path: `/v2/${name}/manifests/v1`, isPrivate: true }));
  const unknown = names.map(() => ({ path: `/v2/${newName()}/manifests/v1`, isPrivate: false }));
  return await time(server, caller, shuffled([...privates, ...unknown]));
}

/** Guesses names, with and without a credential, and from the times of the refusals which of them exist. */
export const guessedNames: Workload = {
  name: "names",
  shows: "how often the time of a refusal tells a private repository from a name that nobody pushed to",
  run: async ({ repetitions, isQuick, progress }) => {
    const figure = (name: string): Figure => ({ name: `right guesses ${name}`, unit: "", samples: [] });
    const figures: Figure[] = [];
    for (const caller of callers) {
      const first = figure(`${caller.name}, by the first request`);
      const later = figure(`${caller.name}, by the median of ${repeats} more`);
      figures.push(first, later);
      for (let repetition = 0; repetition < repetitions; repetition++) {
        const times = await measure(caller, isQuick ? 20 : 200);
        first.samples.push(guess(times, ({ firstMs }) => firstMs));
        later.samples.push(guess(times, ({ laterMs }) => laterMs));
        const [byFirst, byLater] = [first, later].map(({ samples }) => samples.at(-1)?.toFixed(2));
        progress(
          `${caller.name}, ${repetition + 1}/${repetitions}: ${byFirst} by the first request, ${byLater} by the others`,
        );
      }
    }
    const comparisons = figures.map(
      ({ name, samples }): Comparison => ({ name, value: median(samples), unit: "", limit: mostRight }),
    );
    return { figures, comparisons };
  },
};
