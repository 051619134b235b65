/** Whether anything takes longer in a repository, or a registry, that holds much. */
import { manifestOf, newImage, pushImage } from "../image.ts";
import { type LoadRequest, load } from "../load.ts";
import { type Curves, type Figure, inTurns, ratio } from "../measure.ts";
import { startServer } from "../program.ts";
import type { Target } from "../target.ts";
import type { Workload } from "../workload.ts";

const manifestType = "application/vnd.oci.image.manifest.v1+json";
const image = newImage(5, 1024);
const fillConnections = 16;
const requestsPerSample = 200;
const tagsPerPage = 100;
const mostTimes = 1.2;

/** A repository that grows through the API: each manifest is another one, under a tag of its own. */
class GrowingRepository {
  readonly #target: Target;
  readonly name: string;
  #size = 0;

  constructor(target: Target, name: string) {
    this.#target = target;
    this.name = name;
  }

  get size(): number {
    return this.#size;
  }

  /** Pushes the blobs that all manifests name, and the first manifest. */
  async found(): Promise<void> {
    await pushImage(this.#target, this.name, tagOf(0), image);
    this.#size = 1;
  }

  readonly #put = (): LoadRequest => {
    const id = this.#size++;
    return {
      method: "PUT",
      path: `/v2/${this.name}/manifests/${tagOf(id)}`,
      headers: { "Content-Type": manifestType },
      body: manifestOf(image.config, image.layers, `${this.name} ${id}`),
      status: 201,
    };
  };

  async growTo(size: number): Promise<void> {
    const requests = Math.max(0, size - this.#size);
    await load(this.#target.url, this.#put, { connections: fillConnections, requests });
  }

  /** Medians of one request at a time, in milliseconds; what is read was pushed just before, by the first of them. */
  async measure(requests: number): Promise<Record<Operation, number>> {
    const connections = 1;
    const before = this.#size;
    const put = await load(this.#target.url, this.#put, { connections, requests });
    let next = before;
    const get = () => this.#read(`manifests/${tagOf(next++)}`);
    const page = () =>
      this.#read(`tags/list?n=${tagsPerPage}&last=${tagOf(Math.floor(Math.random() * this.#size))}`);
    const pulled = await load(this.#target.url, get, { connections, requests });
    const listed = await load(this.#target.url, page, { connections, requests });
    return { "PUT manifest": put.p50Ms, "GET manifest": pulled.p50Ms, "tags page": listed.p50Ms };
  }

  #read(path: string): LoadRequest {
    const headers = { Accept: manifestType };
    return { method: "GET", path: `/v2/${this.name}/${path}`, headers, status: 200 };
  }
}

const operations = ["PUT manifest", "GET manifest", "tags page"] as const;
type Operation = (typeof operations)[number];

/** In ASCII order. */
function tagOf(id: number): string {
  return `t${String(id).padStart(7, "0")}`;
}

type Measured = { size: number; figures: Record<Operation, Figure> };

function figuresOf(what: string): Record<Operation, Figure> {
  const figure = (name: Operation): Figure => ({ name: `${name}, ${what}`, unit: "ms", samples: [] });
  return {
    "PUT manifest": figure("PUT manifest"),
    "GET manifest": figure("GET manifest"),
    "tags page": figure("tags page"),
  };
}

/** A large repository, measured in turns with one that is as good as empty, as it grows; and many repositories. */
export const scale: Workload = {
  name: "scale",
  shows: "what one request takes in a repository that grows to 100,000 tags, and among 2,000 repositories",
  isLong: true,
  run: async ({ repetitions, isQuick, progress }) => {
    await using instance = await startServer();
    const { target } = instance;
    const sizes = isQuick ? [100, 300] : [1_000, 10_000, 30_000, 100_000];
    const large = new GrowingRepository(target, "bench/large");
    await large.found();
    const measured: Measured[] = [];
    let small = figuresOf("empty repository");
    for (const size of sizes) {
      await large.growTo(size);
      progress(`${size} tags`);
      const current = { size, figures: figuresOf(`${size} tags`) };
      small = figuresOf("empty repository");
      await inTurns([large, undefined], repetitions, async (grown, repetition) => {
        // What was empty before has the tags of its own measurement in it.
        const repository = grown ?? new GrowingRepository(target, `bench/small-${size}-${repetition}`);
        if (grown === undefined) await repository.found();
        const medians = await repository.measure(isQuick ? 20 : requestsPerSample);
        const into = grown === undefined ? small : current.figures;
        for (const name of operations) into[name].samples.push(medians[name]);
      });
      measured.push(current);
    }
    const catalog = await measureCatalog(target, isQuick ? 50 : 2_000, repetitions);
    const last = measured.at(-1);
    if (last === undefined) throw new Error("nothing was measured");
    return {
      figures: [
        ...Object.values(small),
        ...measured.flatMap(({ figures }) => Object.values(figures)),
        ...catalog,
      ],
      comparisons: operations.map((name) => ({
        name: `${name}, ${last.size} tags / empty`,
        value: ratio(last.figures[name], small[name]),
        unit: "times",
        limit: mostTimes,
      })),
      curves: curvesOf(measured),
    };
  },
};

/** One page of the list of repositories, while there are few and once there are many. */
async function measureCatalog(target: Target, repositories: number, repetitions: number): Promise<Figure[]> {
  const figures: Figure[] = [];
  const request = { method: "GET", path: "/v2/_catalog?n=100", status: 200 };
  const measure = async (name: string) => {
    const figure: Figure = { name, unit: "ms", samples: [] };
    for (let repetition = 0; repetition < repetitions; repetition++) {
      const { p50Ms } = await load(target.url, request, { connections: 1, requests: requestsPerSample });
      figure.samples.push(p50Ms);
    }
    figures.push(figure);
  };
  await measure("catalog page, few repositories");
  for (let count = 0; count < repositories; count++)
    await pushImage(target, `bench/many/${count}`, "latest", image);
  await measure(`catalog page, ${repositories} repositories`);
  return figures;
}

function curvesOf(measured: Measured[]): Curves {
  const series = operations.map((name) => ({
    name,
    points: measured.map(({ size, figures }) => ({ x: size, samples: figures[name].samples })),
  }));
  return { title: "One request in a repository that grows", xName: "tags", unit: "ms", series };
}
