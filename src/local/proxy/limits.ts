/** What clients of the reverse proxy may use: deadlines, and caps on connections and buffers. */

import { mebibyte, second } from "../../units.ts";

const minute = 60 * second;
const kibibyte = 1024;

/** The deadlines and caps of a reverse proxy. Times are milliseconds, sizes are bytes. */
export interface ProxyLimits {
  /** From the first byte of a connection, or of a request, to the end of its headers; also for the TLS handshake. */
  headersMs: number;
  /** How long a connection may be without a request. Longer than Go's clients (90 s) and nginx (60 s) keep theirs. */
  idleMs: number;
  /** The size of a request line with its headers. */
  headerBytes: number;
  /** How long a body that is wanted may pause. A client that uploads has no reason to wait. */
  silenceMs: number;
  /** A wanted body must have at least `leastRate` bytes a second, averaged over this time. */
  rateMs: number;
  leastRate: number;
  /** How much of a body is read after its request was refused, so that the client can receive the answer. */
  drainMs: number;
  drainBytes: number;
  /** How long an answer may wait while its client reads nothing. Clients may pause to write to slow disks. */
  unreadMs: number;
  /** How long to wait for a refusal before `100 Continue` is sent. Curl waits 1 s for either. */
  continueMs: number;
  /** How many requests a client may send ahead on one connection. */
  pipelined: number;
  /** The maximum number of connections; by default as many as the limit of file descriptors allows. */
  connections: number | undefined;
  /** How often deadlines are checked. */
  sweepMs: number;
}

/** The defaults, which tests override. */
export const defaultLimits: ProxyLimits = {
  headersMs: 15 * second,
  idleMs: 100 * second,
  headerBytes: 32 * kibibyte,
  silenceMs: minute,
  rateMs: 5 * minute,
  leastRate: kibibyte,
  drainMs: 30 * second,
  drainBytes: 64 * mebibyte,
  unreadMs: 5 * minute,
  continueMs: 50,
  pipelined: 16,
  connections: undefined,
  sweepMs: second,
};
