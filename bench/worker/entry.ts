/**
 * The registry, with the floors beside it that its figures are compared with: the same bytes, to and from the same
 * bucket, by as little code as can do it.
 *
 * | request                 | what it does                                                        |
 * | ----------------------- | ------------------------------------------------------------------- |
 * | `PUT /bench/put/<key>`  | streams the body into one put                                       |
 * | `PUT /bench/parts/<key>`| has a bare object write the body in parts of 5 MiB                  |
 * | `GET /bench/get/<key>`  | streams the bytes back                                              |
 */
import worker from "../../src/worker.ts";
import type { BenchEnv } from "./bare-object.ts";

export * from "../../src/worker.ts";
export { BareObject } from "./bare-object.ts";

const route = /^\/bench\/(put|parts|get)\/([\w-]+)$/;

async function bare(request: Request, env: BenchEnv, kind: string, key: string): Promise<Response> {
  if (kind === "parts") {
    return env.BARE_OBJECT.getByName(key).fetch(`https://bare/${key}`, { method: "PUT", body: request.body });
  }
  if (kind === "put") {
    const length = Number(request.headers.get("X-Bench-Length"));
    const body = request.body?.pipeThrough(new FixedLengthStream(length)) ?? null;
    await env.BLOBS.put(`bench/${key}`, body);
    return new Response(null, { status: 201 });
  }
  const object = await env.BLOBS.get(`bench/${key}`);
  return new Response(object?.body ?? null, { status: object === null ? 404 : 200 });
}

export default {
  fetch: (request, env, context) => {
    const [, kind, key] = route.exec(new URL(request.url).pathname) ?? [];
    if (kind !== undefined && key !== undefined) return bare(request, env, kind, key);
    return worker.fetch(request, env, context);
  },
} satisfies ExportedHandler<BenchEnv>;
