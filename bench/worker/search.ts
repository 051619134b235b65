/**
 * The registry, with a way to fill the object that finds repositories, and to ask how many rows it read.
 *
 * | request                                 | what it does                                                  |
 * | --------------------------------------- | ------------------------------------------------------------- |
 * | `POST /bench/fill?from=<n>&count=<n>`   | announces so many repositories, as their ledgers would        |
 * | `POST /bench/rows`                      | the rows that were read since this was asked last, as a number |
 */
import { Search as RegistrySearch } from "../../src/objects/search.ts";
import type { Digest, RepositoryName, Tag } from "../../src/oci/reference.ts";
import worker from "../../src/worker.ts";
import { SqlMeter } from "../../test/costs/sql-meter.ts";
import { repositoryNumber } from "../repositories.ts";

export * from "../../src/worker.ts";

const meter = new SqlMeter();

/** The object, of which the rows are counted. */
export class Search extends RegistrySearch {
  constructor(ctx: DurableObjectState, env: ConstructorParameters<typeof RegistrySearch>[1]) {
    super(ctx, env);
    meter.watch("Search", ctx.storage);
  }

  /** Announces repositories, each with three tags. */
  async fill(from: number, count: number): Promise<void> {
    for (let number = from; number < from + count; number++) {
      const { name, description, isPublic } = repositoryNumber(number);
      const tags = ["v1.0.0", "v1.1.0", "latest"].map((tag, index) => {
        const digest = `sha256:${(number * 3 + index).toString(16).padStart(64, "0")}` as Digest;
        return { tag: tag as Tag, digest };
      });
      await this.put(
        {
          name: name as RepositoryName,
          visibility: isPublic ? "public" : "private",
          description,
          version: 1,
          tags: tags.length,
          sizeBytes: number * 1000,
          pushedAtMs: number,
          pushedBy: "builder",
          usedDay: 20_000,
          kinds: ["image"],
          platforms: ["linux/amd64"],
        },
        tags,
        true,
      );
    }
    meter.take();
  }

  /** The rows that were read since this was called last. */
  rows(): number {
    return meter.take().rowsRead;
  }
}

type BenchEnv = { SEARCH: DurableObjectNamespace<Search> };

export default {
  fetch: async (request, env, context) => {
    const { pathname, searchParams } = new URL(request.url);
    const { SEARCH } = env as unknown as BenchEnv;
    const search = SEARCH.getByName("search");
    if (pathname === "/bench/fill") {
      await search.fill(Number(searchParams.get("from")), Number(searchParams.get("count")));
      return new Response(null, { status: 204 });
    }
    if (pathname === "/bench/rows") return Response.json(await search.rows());
    return worker.fetch(request, env, context);
  },
} satisfies ExportedHandler<Parameters<typeof worker.fetch>[1]>;
