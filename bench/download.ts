/** A pull that costs its client next to nothing: node:http takes longer to receive a large answer than servers to send it. */
import { connect } from "node:net";

const readBytes = 1024 * 1024;

/** How a download is watched and slowed down. */
export interface Download {
  /** Called with each piece of the body: how many bytes came so far. */
  onBytes?: (bytes: number) => void;
  mostBytesPerSecond?: number;
}

/**
 * Gets a URL and drops the answer's body.
 *
 * @returns the length of the body; throws if the status is not 200 or the connection breaks
 */
export function download(
  url: URL,
  headers: Record<string, string>,
  { onBytes = () => {}, mostBytesPerSecond = Number.POSITIVE_INFINITY }: Download = {},
): Promise<number> {
  const start = performance.now();
  const { promise, resolve, reject } = Promise.withResolvers<number>();
  const lines = Object.entries({ Host: url.host, ...headers }).map(([name, value]) => `${name}: ${value}`);
  let head = "";
  /** Of the body; negative while its head is not through. */
  let missingBytes = -1;
  const receive = (length: number, buffer: Uint8Array): boolean => {
    if (missingBytes >= 0) {
      missingBytes -= length;
    } else {
      head += Buffer.from(buffer.subarray(0, length)).toString("latin1");
      const end = head.indexOf("\r\n\r\n");
      if (end >= 0) missingBytes = lengthIn(head) - (head.length - end - 4);
    }
    // The end of the connection is not waited for: servers take their time with it.
    if (missingBytes === 0) socket.destroy();
    if (missingBytes < 0) return true;
    const receivedBytes = lengthIn(head) - missingBytes;
    onBytes(receivedBytes);
    const early = (receivedBytes / mostBytesPerSecond) * 1000 - (performance.now() - start);
    if (early < 1) return true;
    setTimeout(() => socket.resume(), early);
    return false;
  };
  const socket = connect({
    host: url.hostname,
    port: Number(url.port),
    noDelay: true,
    onread: { buffer: new Uint8Array(readBytes), callback: receive },
  });
  socket.on("error", reject).on("close", () => {
    if (missingBytes === 0 && head.startsWith("HTTP/1.1 200 ")) resolve(lengthIn(head));
    else reject(new Error(`GET ${url}: ${head.split("\r\n", 1)[0]}, ${missingBytes} bytes missing`));
  });
  socket.write(`GET ${url.pathname}${url.search} HTTP/1.1\r\n${lines.join("\r\n")}\r\n\r\n`);
  return promise;
}

function lengthIn(head: string): number {
  return Number(/^content-length: (\d+)\r$/im.exec(head)?.[1]);
}
