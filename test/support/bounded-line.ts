/**
 * A line to a registry as the platform's is: a request whose body is too large is answered with a page of HTML, and the
 * registry never sees it. It can break as well, and tells what went over it.
 */
import { once } from "node:events";
import { createServer, request as httpRequest, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

/** What most plans of the platform let through. */
export const platformBytes = 100_000_000;

/** What went over a line. */
export type LineTraffic = {
  bodyBytes: number;
  largestBody: number;
  cuts: number;
  refused: number;
  requests: string[];
};

/** A line, and where it begins. */
export type BoundedLine = {
  url: string;
  host: string;
  traffic: LineTraffic;
  /** Breaks the connection that is in use when so many more bytes of bodies have gone over the line. */
  cutAfter(bytes: readonly number[]): void;
  close(): Promise<void>;
};

/** How a line is. */
export type LineOptions = {
  /** The registry's address. */
  to: string;
  maxBytes?: number;
  /** A port of its own choice. */
  port?: number;
};

/** Opens a line. */
export async function openLine({
  to,
  maxBytes = platformBytes,
  port = 0,
}: LineOptions): Promise<BoundedLine> {
  const traffic: LineTraffic = { bodyBytes: 0, largestBody: 0, cuts: 0, refused: 0, requests: [] };
  const cuts: number[] = [];
  const server = createServer({ requestTimeout: 0 }, (incoming, answer) => {
    traffic.requests.push(`${incoming.method} ${incoming.url?.replace(/\?.*$/, "")}`);
    if (Number(incoming.headers["content-length"] ?? 0) > maxBytes) return refuse(incoming, answer, traffic);
    carry(new URL(to), incoming, answer, maxBytes, traffic, cuts);
  });
  server.listen(port, "127.0.0.1");
  await once(server, "listening");
  const host = `127.0.0.1:${(server.address() as AddressInfo).port}`;
  return {
    url: `http://${host}`,
    host,
    traffic,
    cutAfter: (bytes) => {
      cuts.push(...bytes.map((each) => traffic.bodyBytes + each).sort((a, b) => a - b));
    },
    close: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** As the platform says it. */
function refuse(incoming: IncomingMessage, answer: ServerResponse, traffic: LineTraffic): void {
  traffic.refused++;
  const page =
    "<html><head><title>413 Request Entity Too Large</title></head><body>cloudflare</body></html>\r\n";
  answer.writeHead(413, { "Content-Type": "text/html", "Content-Length": page.length, Connection: "close" });
  answer.end(page);
  incoming.resume();
}

function carry(
  to: URL,
  incoming: IncomingMessage,
  answer: ServerResponse,
  maxBytes: number,
  traffic: LineTraffic,
  cuts: number[],
): void {
  const { method, url: path, headers } = incoming;
  const outgoing = httpRequest({ host: to.hostname, port: to.port, method, path, headers });
  let bytes = 0;
  const end = () => {
    outgoing.destroy();
    incoming.socket.destroy();
  };
  incoming.on("data", (piece: Buffer) => {
    bytes += piece.byteLength;
    traffic.bodyBytes += piece.byteLength;
    traffic.largestBody = Math.max(traffic.largestBody, bytes);
    if (bytes > maxBytes) {
      outgoing.destroy();
      incoming.removeAllListeners("data");
      return refuse(incoming, answer, traffic);
    }
    if (cuts[0] !== undefined && traffic.bodyBytes >= cuts[0]) {
      cuts.shift();
      traffic.cuts++;
      // What came is still passed on: a registry gets some of it, and tells nobody.
      outgoing.write(piece, () => end());
      return;
    }
    if (!outgoing.write(piece)) {
      incoming.pause();
      outgoing.once("drain", () => incoming.resume());
    }
  });
  incoming.on("end", () => outgoing.end());
  incoming.on("error", () => outgoing.destroy());
  outgoing.on("error", () => incoming.socket.destroy());
  outgoing.on("response", (response) => {
    answer.writeHead(response.statusCode ?? 502, response.headers);
    response.pipe(answer);
    response.on("error", () => answer.destroy());
  });
  answer.on("close", () => {
    if (!answer.writableFinished) outgoing.destroy();
  });
}
