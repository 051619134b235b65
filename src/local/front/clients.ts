/** The requests of each connection: one is answered at a time, in their order. Source: RFC 9112, 9.3.2. */
import type { IncomingMessage, Server, ServerResponse } from "node:http";
import type { Socket } from "node:net";
import type { Duplex } from "node:stream";
import { type Passage, ProxiedRequest } from "./proxied-request.ts";
import { endWith, refusalText, tlsHandshake, whyMalformed, wrongProtocol } from "./refusals.ts";

interface Waiting {
  incoming: IncomingMessage;
  request: ProxiedRequest;
  isExpecting: boolean;
}

interface Client {
  current: ProxiedRequest | undefined;
  waiting: Waiting[];
  /** What is said after the answers to those: that what came next is no request. */
  lastWords: string | undefined;
}

/** Has the server pass on what it reads. Returns the requests in flight. */
export function serveClients(server: Server, passage: Passage): ReadonlySet<ProxiedRequest> {
  const clients = new WeakMap<Duplex, Client>();
  const inFlight = new Set<ProxiedRequest>();

  const clientOf = (socket: Socket): Client => {
    const known = clients.get(socket);
    if (known !== undefined) return known;
    const client: Client = { current: undefined, waiting: [], lastWords: undefined };
    clients.set(socket, client);
    // Not every runtime's parser minds that nothing follows.
    socket.on("end", () => client.current?.onHalfClose());
    return client;
  };
  const start = (client: Client, { request, isExpecting }: Waiting) => {
    client.current = request;
    inFlight.add(request);
    request.start(isExpecting);
  };
  const accept = (isExpecting: boolean) => (incoming: IncomingMessage, response: ServerResponse) => {
    const { socket } = incoming;
    const client = clientOf(socket);
    const request = new ProxiedRequest(passage, incoming, response);
    response.on("close", () => {
      request.end();
      inFlight.delete(request);
      client.current = undefined;
      if (!socket.writable) return;
      const next = client.waiting.shift();
      if (next !== undefined) start(client, next);
      else if (client.lastWords !== undefined) endWith(socket, client.lastWords);
    });
    // After an answer that was the last, nothing is to be answered.
    if (!socket.writable) return;
    const waiting = { incoming, request, isExpecting };
    if (client.current === undefined) start(client, waiting);
    else if (client.waiting.length < passage.limits.pipelined) client.waiting.push(waiting);
    else socket.destroy();
  };

  server.on("request", accept(false));
  server.on("checkContinue", accept(true));
  // Node would refuse it, and then read the body to its end, however long that takes.
  server.on("checkExpectation", accept(false));
  server.on("connect", (_, socket) => endWith(socket, refusalText(405, "this is no proxy")));
  server.on("clientError", (error: NodeJS.ErrnoException & { rawPacket?: Buffer }, socket: Duplex) => {
    if (!socket.writable || error.code === "ECONNRESET") {
      socket.destroy();
      return;
    }
    const client = clients.get(socket);
    const { status, message } = whyMalformed(error.code);
    const text = error.rawPacket?.[0] === tlsHandshake ? wrongProtocol(false) : refusalText(status, message);
    if (client?.current === undefined) endWith(socket, text);
    else if (!client.current.isWhole) client.current.fail(status, message);
    else {
      // Those that were understood are answered, and what is broken is none of them.
      client.lastWords = text;
      if (client.waiting.at(-1)?.incoming.complete === false) client.waiting.pop();
      socket.pause();
    }
  });
  return inFlight;
}
