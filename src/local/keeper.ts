/** The keeper: the blob store's questions (disk-service.ts), over HTTP on a Unix socket that only workerd is told of. */
import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { openDisk } from "./disk-service.ts";

/** A thousand uploads that begin at once each ask for a connection; of more than this, some are refused. */
const backlog = 4096;

/** A list of 10,000 parts has some 700 KB. */
const maxBodyBytes = 4 * 1024 * 1024;

/**
 * Listens on the socket.
 *
 * @param directory where the files of blobs are
 * @param onFailure gets what failed, of which the Worker is told nothing but that
 * @returns a function that stops listening
 */
export async function serveKeeper(
  directory: string,
  socket: string,
  onFailure: (error: unknown) => void,
): Promise<() => void> {
  const ask = openDisk(directory);
  const answer = async (request: IncomingMessage, response: ServerResponse) => {
    try {
      const query = new URL(request.url ?? "", "http://keeper").searchParams;
      const { status, body } = await ask({
        method: request.method ?? "",
        query,
        body: await readText(request),
      });
      response.writeHead(status).end(body);
    } catch (error) {
      onFailure(error);
      response.writeHead(500).end();
    }
  };
  // workerd keeps connections open, and writes to one that was closed as idle would fail.
  const server = createServer({ keepAliveTimeout: 0, requestTimeout: 0 }, (request, response) => {
    void answer(request, response);
  });
  server.listen({ path: socket, backlog });
  await once(server, "listening");
  return () => {
    server.close();
    server.closeAllConnections();
  };
}

async function readText(request: IncomingMessage): Promise<string> {
  const pieces: Buffer[] = [];
  let sizeBytes = 0;
  for await (const piece of request) {
    sizeBytes += piece.length;
    if (sizeBytes > maxBodyBytes) throw new RangeError("the request is too large");
    pieces.push(piece);
  }
  return Buffer.concat(pieces).toString("utf8");
}
