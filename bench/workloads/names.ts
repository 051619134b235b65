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
const addressHeader = "X-Real-IP";
const mostRight = 0.6;

/** How often each name is asked for after the first time. */
const repeats = 20;

type Name = { path: string; isPrivate: boolean };

/** The times of a name in milliseconds: of the first request, and the median of those after it. */
type Timed = Name & { firstMs: number; laterMs: number };

function shuffled<T>(items: readonly T[]): T[] {
  return items
    .map((item) => ({ item, at: Math.random() }))
    .sort((one, other) => one.at - other.at)
    .map(({ item }) => item);
}

function newName(): string {
  return `team/${crypto.randomUUID()}`;
}

let asked = 0;

/** Asks as nobody, from an address of its own, so that no limit ends it; returns how long the refusal took. */
async function refusalMs(target: Target, path: string, agent: Agent): Promise<number> {
  const count = asked++;
  const address = `10.${count >> 16}.${(count >> 8) & 255}.${count & 255}`;
  const startedAt = performance.now();
  const request = httpRequest(target.url + path, { agent, headers: { [addressHeader]: address } });
  request.end();
  const [response] = (await once(request, "response")) as [IncomingMessage];
  const elapsedMs = performance.now() - startedAt;
  response.resume();
  await once(response, "end");
  if (response.statusCode !== 401) throw new Error(`${path}: ${response.statusCode}`);
  return elapsedMs;
}

async function time(target: Target, names: readonly Name[]): Promise<Timed[]> {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  try {
    for (let warmUp = 0; warmUp < 100; warmUp++)
      await refusalMs(target, `/v2/${newName()}/manifests/v1`, agent);
    const firsts = new Map<Name, number>();
    for (const name of shuffled(names)) firsts.set(name, await refusalMs(target, name.path, agent));
    const laters = new Map<Name, number[]>();
    for (let repeat = 0; repeat < repeats; repeat++) {
      for (const name of shuffled(names)) {
        const before = laters.get(name) ?? [];
        laters.set(name, [...before, await refusalMs(target, name.path, agent)]);
      }
    }
    return names.map((name) => ({
      ...name,
      firstMs: firsts.get(name) ?? Number.NaN,
      laterMs: median(laters.get(name) ?? []),
    }));
  } finally {
    agent.destroy();
  }
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
async function measure(count: number): Promise<Timed[]> {
  await using data = await makeFolder();
  const environment = { ADMIN_PASSWORD: password };
  const variables = { ADDRESS_HEADER: addressHeader };
  const names = Array.from({ length: count }, newName);
  {
    await using server = await startProgram(data.path, [], variables, environment);
    const authorization = `Basic ${Buffer.from(`admin:${password}`).toString("base64")}`;
    const image = newImage(1, 1024);
    for (const name of names) await pushImage({ ...server, authorization }, name, "v1", image);
  }
  await using server = await startProgram(data.path, [], variables, environment);
  const privates = names.map((name) => ({ path: `/v2/${name}/manifests/v1`, isPrivate: true }));
  const unknown = names.map(() => ({ path: `/v2/${newName()}/manifests/v1`, isPrivate: false }));
  return await time(server, shuffled([...privates, ...unknown]));
}

/** Guesses names without a credential, and from the times of the refusals which of them exist. */
export const guessedNames: Workload = {
  name: "names",
  shows: "how often the time of a refusal tells a private repository from a name that nobody pushed to",
  run: async ({ repetitions, isQuick, progress }) => {
    const first: Figure = { name: "right guesses, by the first request", unit: "", samples: [] };
    const later: Figure = { name: `right guesses, by the median of ${repeats} more`, unit: "", samples: [] };
    for (let repetition = 0; repetition < repetitions; repetition++) {
      const times = await measure(isQuick ? 20 : 200);
      first.samples.push(guess(times, ({ firstMs }) => firstMs));
      later.samples.push(guess(times, ({ laterMs }) => laterMs));
      const [byFirst, byLater] = [first, later].map(({ samples }) => samples.at(-1)?.toFixed(2));
      progress(`${repetition + 1}/${repetitions}: ${byFirst} by the first request, ${byLater} by the others`);
    }
    const comparisons = [first, later].map(
      ({ name, samples }): Comparison => ({ name, value: median(samples), unit: "", limit: mostRight }),
    );
    return { figures: [first, later], comparisons };
  },
};
