/** The floors of small requests: Workers that do as little as can be, in the same Miniflare. */
import { startInstance } from "../test/support/miniflare/instance.ts";

/** Where they serve. */
export interface Floors extends AsyncDisposable {
  /** A hello-world Worker. */
  hello: string;
  /** A Worker that reads one row from one Durable Object. */
  row: string;
}

/** Starts both. */
export async function startFloors(): Promise<Floors> {
  const hello = await startInstance({ entry: "bench/worker/hello.ts", miniflare: { durableObjects: {} } });
  const row = await startInstance({
    entry: "bench/worker/row.ts",
    miniflare: { durableObjects: { ROW: { className: "RowObject", useSQLite: true } } },
  });
  return {
    hello: hello.url,
    row: row.url,
    [Symbol.asyncDispose]: async () => {
      await Promise.all([hello.dispose(), row.dispose()]);
    },
  };
}
