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
  /** Of a request line with its headers. */
  headerBytes: number;
  /** How long a body that is wanted may stand still. A client that uploads has no reason to wait. */
  silenceMs: number;
  /** A body that is wanted must bring `leastRate` bytes a second, taken over this time. */
  rateMs: number;
  leastRate: number;
  /** What is read of a body after its request was refused, so that the client gets to see the answer. */
  drainMs: number;
  drainBytes: number;
  /** How long an answer may wait for a client that reads none of it. Clients may pause to write to slow disks. */
  unreadMs: number;
  /** How long a client that waits for `100 Continue` is kept waiting for a refusal instead. Curl waits 1 s for either. */
  continueMs: number;
  /** Requests that a client may have sent ahead on one connection. */
  pipelined: number;
  /** How many connections there may be; by default what the limit of file descriptors allows. */
  connections: number | undefined;
  /** How often deadlines are looked at. */
  sweepMs: number;
}

/** What holds unless a test says otherwise. */
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
