/** The disk as bindings of a Worker in Miniflare. */
import { mkdirSync } from "node:fs";
import { type Request, Response, type WorkerOptions } from "miniflare";
import { makeKeeper } from "./disk-service.ts";

/**
 * The bindings of a blob store on files.
 *
 * @param directory where the files are; made if it is not there
 */
export function diskBindings(directory: string): NonNullable<WorkerOptions["serviceBindings"]> {
  mkdirSync(directory, { recursive: true });
  const keep = makeKeeper(directory);
  return {
    BLOB_FILES: { disk: { path: directory, writable: true } },
    BLOB_KEEPER: async (request: Request) => {
      const { pathname, search } = new URL(request.url);
      const { status, body = null } = await keep(request.method, pathname + search, await request.text());
      return new Response(body, { status });
    },
  };
}
