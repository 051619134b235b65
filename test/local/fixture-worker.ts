/** A Worker whose requests last for as long as the client wants. */
import { DurableObject } from "cloudflare:workers";

interface Bindings {
  CATALOG: DurableObjectNamespace<Catalog>;
}

export class Repository extends DurableObject {}
export class Upload extends DurableObject {}
export class Blobs extends DurableObject {}
export class Search extends DurableObject {}
export class NameIndex extends DurableObject {}
export class Webhooks extends DurableObject {}
export class WebhookQueue extends DurableObject {}
export class Fetch extends DurableObject {}
export class Upstream extends DurableObject {}

export class Catalog extends DurableObject {
  count(): number {
    const { sql } = this.ctx.storage;
    sql.exec("CREATE TABLE IF NOT EXISTS visits (n INTEGER)");
    sql.exec("INSERT INTO visits VALUES (1)");
    return Number(sql.exec("SELECT count(*) AS n FROM visits").one().n);
  }
}

const downloadBytes = 64 * 1024 * 1024;

async function download(ctx: ExecutionContext): Promise<Response> {
  const { readable, writable } = new FixedLengthStream(downloadBytes);
  const fill = async () => {
    const writer = writable.getWriter();
    const chunk = new Uint8Array(64 * 1024);
    for (let sent = 0; sent < downloadBytes; sent += chunk.length) await writer.write(chunk);
    await writer.close();
  };
  ctx.waitUntil(fill());
  return new Response(readable);
}

async function upload(request: Request): Promise<Response> {
  let bytes = 0;
  for await (const chunk of request.body ?? []) bytes += chunk.byteLength;
  return new Response(String(bytes), { status: 201 });
}

async function visit(env: Bindings): Promise<Response> {
  return Response.json(await env.CATALOG.getByName("only").count());
}

export default {
  async fetch(request: Request, env: Bindings, ctx: ExecutionContext): Promise<Response> {
    switch (new URL(request.url).pathname) {
      case "/download":
        return await download(ctx);
      case "/upload":
        return await upload(request);
      case "/visit":
        return await visit(env);
      case "/log":
        console.log('{"event":"æøå","n":1}');
        return new Response(null, { status: 204 });
      case "/head":
        return new Response(null, { headers: { "Content-Length": "1234567890123" } });
      case "/json":
        return Response.json({ text: "x".repeat(5000) });
      case "/settings":
        return Response.json(env);
      default:
        return new Response("not found\n", { status: 404 });
    }
  },
};
