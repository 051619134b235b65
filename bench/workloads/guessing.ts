/** Whether those who guess passwords are in the way of those who pull. */
import { newImage, pushImage } from "../image.ts";
import { startClosedInstance } from "../instance.ts";
import { type LoadRequest, type LoadResult, load } from "../load.ts";
import { type Comparison, type Figure, ratio } from "../measure.ts";
import { credentialOf, type Target } from "../target.ts";
import type { RunContext, Workload } from "../workload.ts";

const repository = "bench/guessing";
const guessers = 32;
const pullers = 4;
const mostTimes = 1.5;
const leastRefused = 0.2;

/** Where the guesses come from: the registry learns no addresses, one of each client, or one of all. */
type Origin = { name: string; addressHeader: string; addressOf: (guess: number) => string };

const header = "X-Real-IP";
const origins: Origin[] = [
  { name: "no addresses", addressHeader: "", addressOf: () => "" },
  { name: "an address each", addressHeader: header, addressOf: (guess) => `192.0.2.${guess % guessers}` },
  { name: "one address", addressHeader: header, addressOf: () => "192.0.2.1" },
];

type Round = { pull: LoadResult; others: LoadResult };

/** Pulls for a while beside what `others` send. */
async function pullBeside(
  puller: Target,
  path: string,
  seconds: number,
  others: () => LoadRequest,
  everyMs: number,
): Promise<Round> {
  const pull = { method: "GET", path, headers: credentialOf(puller), status: 200 };
  const [pulled, sent] = await Promise.all([
    load(puller.url, pull, { connections: pullers, seconds }),
    load(puller.url, others, { connections: guessers, seconds, everyMs }),
  ]);
  return { pull: pulled, others: sent };
}

async function measure(origin: Origin, { repetitions, isQuick, progress }: RunContext) {
  const { instance, pusher, puller } = await startClosedInstance(repository, {
    ADDRESS_HEADER: origin.addressHeader,
  });
  await using _instance = instance;
  const image = newImage(1, 10 * 1024);
  await pushImage(pusher, repository, "latest", image);
  const path = `/v2/${repository}/manifests/${image.digest}`;
  const seconds = isQuick ? 0.5 : 5;
  let count = 0;
  const request = { method: "GET", path: "/v2/" };
  const guess = (): LoadRequest => {
    const credentials = Buffer.from(`${crypto.randomUUID()}:wrong password`).toString("base64");
    const address: Record<string, string> =
      origin.addressHeader === "" ? {} : { [origin.addressHeader]: origin.addressOf(count) };
    count++;
    return { ...request, headers: { Authorization: `Basic ${credentials}`, ...address }, status: [401, 429] };
  };
  const nothing = (): LoadRequest => ({ ...request, status: 401 });

  const figure = (beside: string): Figure => ({
    name: `pull beside ${guessers} ${beside}, ${origin.name}`,
    unit: "ms",
    samples: [],
  });
  const besideGuesses = figure("that guess");
  const besideNothing = figure("that send as many requests without credentials");
  let refused = 0;
  await pullBeside(puller, path, seconds / 5, nothing, 0);
  for (let repetition = 0; repetition < repetitions; repetition++) {
    const guessed = await pullBeside(puller, path, seconds, guess, 0);
    // As many as were sent with guesses, at even distances.
    const everyMs = (1000 * guessers) / guessed.others.requestsPerSecond;
    const plain = await pullBeside(puller, path, seconds, nothing, everyMs);
    besideGuesses.samples.push(guessed.pull.p50Ms);
    besideNothing.samples.push(plain.pull.p50Ms);
    refused += guessed.others.statuses.get(429) ?? 0;
    const rates = [guessed, plain].map(({ others }) => others.requestsPerSecond.toFixed(0)).join(" and ");
    const slowest = [guessed, plain].map(({ pull }) => pull.p99Ms.toFixed(1)).join(" and ");
    progress(`${origin.name}, ${repetition + 1}/${repetitions}: ${rates} requests/s, p99 ${slowest} ms`);
  }
  return { besideGuesses, besideNothing, refusedShare: refused / count };
}

/** Pulls by bearer token beside wrong passwords under random names, and beside as many requests that cost nothing. */
export const guessing: Workload = {
  name: "guessing",
  shows: `how long pulls take while ${guessers} clients guess passwords under random names`,
  run: async (context) => {
    const figures: Figure[] = [];
    const comparisons: Comparison[] = [];
    for (const origin of origins) {
      const { besideGuesses, besideNothing, refusedShare } = await measure(origin, context);
      figures.push(besideGuesses, besideNothing);
      comparisons.push({
        name: `guesses that were refused with 429 / all, ${origin.name}`,
        value: refusedShare,
        unit: "times",
        limit: leastRefused,
        isLeast: true,
      });
      comparisons.push({
        name: `pull beside guesses / beside as many without credentials, ${origin.name}`,
        value: ratio(besideGuesses, besideNothing),
        unit: "times",
        limit: mostTimes,
      });
    }
    return { figures, comparisons };
  },
};
