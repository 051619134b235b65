/** Lists that come in pages. */
import type { Answer } from "./answer.ts";
import type { Client } from "./client.ts";

/** Where the next page is, by the `Link` header of this one. */
export function nextPage(answer: Answer): string | undefined {
  return /^<([^>]+)>; rel="next"$/.exec(answer.headers.get("Link") ?? "")?.[1];
}

/** All entries of a list, by its `Link` headers; the sizes of its pages beside them. */
export async function readPages<T>(
  client: Client,
  path: string,
  read: (answer: Answer) => T[],
): Promise<{ all: T[]; sizes: number[] }> {
  const all: T[] = [];
  const sizes: number[] = [];
  for (let next: string | undefined = path; next !== undefined; ) {
    const answer = await client.must(200, "GET", next);
    all.push(...read(answer));
    sizes.push(read(answer).length);
    next = nextPage(answer);
  }
  return { all, sizes };
}
