/** Whether pushes are slower where others are told of them: by listeners that work, hang, and are not there. */
import { once } from "node:events";
import { createServer, type RequestListener, type Server } from "node:http";
import { setTimeout as delay } from "node:timers/promises";
import { type Figure, inTurns, ratio, secondsOf } from "../measure.ts";
import { startServer } from "../program.ts";
import type { Workload } from "../workload.ts";

const pushesOfTurn = 50;
/** Longer than it takes to tell of a turn: what one leaves to be done is not to be counted with the next. */
const settleMs = 2_000;
const mostTimes = 1.2;
const mediaType = "application/vnd.oci.image.index.v1+json";

async function listen(answer: RequestListener): Promise<{ url: string; server: Server }> {
  const server = createServer(answer).listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  return { url: `http://127.0.0.1:${typeof address === "object" ? address?.port : ""}/`, server };
}

async function send(url: string, method: string, content: object, headers?: HeadersInit): Promise<void> {
  const response = await fetch(url, { method, body: JSON.stringify(content), ...(headers && { headers }) });
  const text = await response.text();
  if (response.status !== 201) throw new Error(`${method} ${url}: ${response.status} ${text}`);
}

/** Pushes manifests that nobody has pushed before, one after the other. */
async function pushMany(base: string, repository: string, count: number): Promise<void> {
  for (let push = 0; push < count; push++) {
    const annotations = { id: crypto.randomUUID() };
    const index = { schemaVersion: 2, mediaType, manifests: [], annotations };
    await send(`${base}/v2/${repository}/manifests/t${push}`, "PUT", index, { "Content-Type": mediaType });
  }
}

/** Manifests pushed by turns, to a repository that nobody hears of and to one with three webhooks. */
export const webhooks: Workload = {
  name: "webhooks",
  shows: "how long pushing a manifest takes while one webhook works, one hangs and one cannot be reached",
  run: async ({ repetitions, isQuick, progress }) => {
    await using instance = await startServer({ WEBHOOK_ALLOW_PRIVATE: "yes" });
    let told = 0;
    const working = await listen((request, response) => {
      told += 1;
      request.resume();
      response.end();
    });
    const hanging = await listen(() => {});
    const gone = await listen(() => {});
    gone.server.close();
    const events = ["manifest.push", "tag.create", "tag.move"];
    for (const { url } of [working, hanging, gone]) {
      await send(`${instance.url}/api/v1/webhooks`, "POST", { url, events, repository: "bench/heard" });
    }
    const count = isQuick ? 5 : pushesOfTurn;
    const without: Figure = { name: `PUT ${count} manifests, no webhooks`, unit: "s", samples: [] };
    const withThem: Figure = { name: `PUT ${count} manifests, three webhooks`, unit: "s", samples: [] };
    const pairs = [
      { repository: "bench/quiet", figure: without },
      { repository: "bench/heard", figure: withThem },
    ];
    for (const { repository } of pairs) await pushMany(instance.url, repository, count);
    await inTurns(pairs, repetitions, async ({ repository, figure }, repetition) => {
      await delay(settleMs);
      const seconds = await secondsOf(() => pushMany(instance.url, repository, count));
      figure.samples.push(seconds);
      progress(
        `${figure.name} ${repetition + 1}/${repetitions}: ${seconds.toFixed(2)} s; ${told} events arrived`,
      );
    });
    for (const { server } of [working, hanging]) {
      server.close();
      server.closeAllConnections();
    }
    return {
      figures: [without, withThem],
      comparisons: [
        {
          name: "pushes with webhooks, compared with none",
          value: ratio(withThem, without),
          unit: "times",
          limit: mostTimes,
        },
      ],
    };
  },
};
