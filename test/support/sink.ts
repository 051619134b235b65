/** A listener of events: it keeps what it is sent, and answers as a test wants. */
import { once } from "node:events";
import { createServer, type IncomingHttpHeaders, type ServerResponse } from "node:http";
import { text } from "node:stream/consumers";
import { after } from "./ends-of-files.ts";

/** What the listener was sent. */
export type Received = { path: string; headers: IncomingHttpHeaders; body: string };

/** Answers what was received; the response is left open by one that does nothing. */
export type Behaviour = (response: ServerResponse, received: Received) => void;

/** A listener. `received` has all that came, whatever it was answered. */
export type Sink = { url: string; received: Received[]; behave(behaviour: Behaviour): void };

/** Answers at once that all is well. */
export const accept: Behaviour = (response) => void response.writeHead(204).end();

/** Starts a listener on this machine, which ends after the tests of the file. */
export async function startSink(behaviour: Behaviour = accept): Promise<Sink> {
  let behave = behaviour;
  const received: Received[] = [];
  const server = createServer(async (request, response) => {
    const each = { path: request.url ?? "", headers: request.headers, body: await text(request) };
    received.push(each);
    behave(response, each);
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  after(() => {
    server.close();
    server.closeAllConnections();
  });
  const address = server.address();
  const port = typeof address === "object" ? address?.port : undefined;
  return {
    url: `http://127.0.0.1:${port}/hook`,
    received,
    behave: (next) => {
      behave = next;
    },
  };
}
