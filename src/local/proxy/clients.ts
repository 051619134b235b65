/** The requests of each connection: they are answered one at a time, in their order. Source: RFC 9112, 9.3.2. */
import type { IncomingMessage, Server, ServerResponse } from "node:http";
import type { Socket } from "node:net";
import type { Duplex } from "node:stream";
import type { ProxyContext } from "./context.ts";
import { ProxiedRequest } from "./proxied-request.ts";
import { endWith, refusalText, tlsHandshake, whyMalformed, wrongProtocol } from "./refusals.ts";

interface Waiting {
  incoming: IncomingMessage;
  request: ProxiedRequest;
  isExpecting: boolean;
  headBytes: number;
}

interface Client {
  current: ProxiedRequest | undefined;
  waiting: Waiting[];
  /** Sent after the last answer, if something that is not a request followed. */
  closingText: string | undefined;
}

/** About how large the head of a request is, in bytes. */
function headBytesOf({ url = "", rawHeaders }: IncomingMessage): number {
  return rawHeaders.reduce((sum, each) => sum + each.length, url.length);
}

/** Passes on what the server reads. Returns the requests in flight. */
export function serveClients(server: Server, context: ProxyContext): ReadonlySet<ProxiedRequest> {
  const clients = new WeakMap<Duplex, Client>();
  const inFlight = new Set<ProxiedRequest>();

  const clientOf = (socket: Socket): Client => {
    const known = clients.get(socket);
    if (known !== undefined) return known;
    const client: Client = { current: undefined, waiting: [], closingText: undefined };
    clients.set(socket, client);
    // Not every runtime's parser reports the end of the stream.
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
    const request = new ProxiedRequest(context, incoming, response);
    response.on("close", () => {
      request.end();
      inFlight.delete(request);
      client.current = undefined;
      if (!socket.writable) return;
      const next = client.waiting.shift();
      if (next !== undefined) start(client, next);
      else if (client.closingText !== undefined) endWith(socket, client.closingText);
    });
    // The last answer has been sent: requests that follow are not answered.
    if (!socket.writable) return;
    const waiting = { incoming, request, isExpecting, headBytes: headBytesOf(incoming) };
    if (client.current === undefined) start(client, waiting);
    else if (mayWait(client, waiting)) client.waiting.push(waiting);
    else socket.destroy();
  };

  const mayWait = ({ waiting }: Client, { headBytes }: Waiting) => {
    const { pipelined, headerBytes } = context.limits;
    // All of them have no more memory than one request may have.
    const heldBytes = waiting.reduce((sum, each) => sum + each.headBytes, headBytes);
    return waiting.length < pipelined && heldBytes <= headerBytes;
  };

  server.on("request", accept(false));
  server.on("checkContinue", accept(true));
  // Node would refuse the request and then read its body to the end, however long that takes.
  server.on("checkExpectation", accept(false));
  server.on("connect", (_, socket) => {
    const text = refusalText(405, "this is no proxy");
    const client = clients.get(socket);
    if (client?.current === undefined) endWith(socket, text);
    else client.closingText = text;
  });
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
      // The requests that were understood are still answered.
      client.closingText = text;
      if (client.waiting.at(-1)?.incoming.complete === false) client.waiting.pop();
      socket.pause();
    }
  });
  return inFlight;
}
