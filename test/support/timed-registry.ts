/** A registry whose clock tests move, whose alarms they run, and whose bucket, KV and objects they make fail or wait. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { fetchOnce } from "./client.ts";
import type { Moment } from "./held-calls.ts";
import type { InstanceOptions } from "./miniflare/instance.ts";
import { startRegistry, type TestRegistry, until } from "./registry.ts";

export const hourMs = 3_600_000;

type Binding =
  | "LEDGERS"
  | "UPLOADS"
  | "BLOB_SHARDS"
  | "CATALOG"
  | "NAME_INDEX"
  | "WEBHOOKS"
  | "WEBHOOK_QUEUES"
  | "FETCHES"
  | "UPSTREAM_STATES";

/** A call that is to wait. */
export type HeldCall = {
  /** Returns once it has come, and waits. */
  hasCome(): Promise<void>;
  /** Lets it go on. */
  letGo(): Promise<void>;
  /** Lets it fail, in a way of which the platform says that a retry helps. */
  lose(): Promise<void>;
};

export type TimedRegistry = {
  registry: TestRegistry;
  /** Moves the clock of the Worker and its objects forward. No alarm runs by itself for that. */
  advance(milliseconds: number): Promise<void>;
  /** Runs an object's alarm: whatever is due in it is done. */
  runAlarm(binding: Binding, name: string): Promise<void>;
  /** Ends the object of an upload session, with whatever is under way in it. */
  crashUpload(session: string): Promise<void>;
  /** Ends the object that fetches a blob, `<repository>@<digest>`, with whatever is under way in it. */
  crashFetch(subject: string): Promise<void>;
  /** How much memory for the parts of uploads and fetches the isolate has held at most, in bytes. */
  bufferPeak(): Promise<number>;
  /** When the alarm of a repository's ledger comes, in milliseconds since 1970; `null` if it has none. */
  alarmAt(repository: string): Promise<number | null>;
  /** Lets a repository's ledger read its manifests again after this time, as after an upgrade. */
  rereadIn(repository: string, milliseconds: number): Promise<void>;
  /** Makes the next operation of this name fail, before or after it did its work; see `Fault` for the names. */
  failNext(operation: string, when: Moment): Promise<void>;
  /** Says whether reads of what the bucket has under a key fail; `*`: under all keys. */
  setUnreadable(key: string, isUnreadable: boolean): Promise<void>;
  /** Makes the next operation of this name wait, before or after it did its work. */
  holdNext(operation: string, when: Moment): Promise<HeldCall>;
  /** Calls a method of an object, as another one would, also a second time, or late. */
  call<T>(binding: Binding, name: string, method: string, ...args: unknown[]): Promise<T>;
  /** Lets the ledgers and shards do all that is due about these digests. */
  collect(repositories: string[], digests: string[]): Promise<void>;
};

/** Starts one, with its clock at the present. It ends after the tests of the file. */
export async function startTimedRegistry(options: InstanceOptions = {}): Promise<TimedRegistry> {
  const registry = await startRegistry({ entry: join(import.meta.dirname, "worker.ts"), ...options });
  const control = async <T>(path: string, body = ""): Promise<T> => {
    const response = await fetchOnce(`${registry.url}/.test/${path}`, { method: "POST", body });
    const answer = await response.text();
    assert.equal(response.status, 200, answer);
    return JSON.parse(answer);
  };
  /** The object's own name: tests name shards by the first byte of their digests, and uploads by their sessions. */
  const objectOf = (binding: Binding, name: string) => {
    if (binding === "UPLOADS" || binding === "FETCHES") return registry.uploadObject(name);
    return binding === "BLOB_SHARDS" ? registry.shardOf(`sha256:${name.padEnd(64, "0")}`) : name;
  };
  const runAlarm = (binding: Binding, name: string) =>
    control<void>(`alarm/${binding}/${encodeURIComponent(objectOf(binding, name))}`);
  return {
    registry,
    advance: (milliseconds) => control(`clock/${milliseconds}`),
    runAlarm,
    crashUpload: (session) => control(`crash/UPLOADS/${encodeURIComponent(registry.uploadObject(session))}`),
    crashFetch: (subject) => control(`crash/FETCHES/${encodeURIComponent(registry.uploadObject(subject))}`),
    bufferPeak: () => control("buffers"),
    alarmAt: (repository) => control(`alarm-at/LEDGERS/${encodeURIComponent(repository)}`),
    rereadIn: (repository, milliseconds) =>
      control(`reread/${encodeURIComponent(repository)}/${milliseconds}`),
    failNext: (operation, when) => control(`fault/${operation}/${when}`),
    setUnreadable: (key, isUnreadable) =>
      control(`unreadable/${encodeURIComponent(key)}/${isUnreadable ? "yes" : "no"}`),
    holdNext: async (operation, when) => {
      await control(`hold/${operation}/${when}`);
      return {
        hasCome: () => until(`a call of ${operation}`, () => control(`held/${operation}`)),
        letGo: () => control(`let-go/${operation}/let-go`),
        lose: () => control(`let-go/${operation}/lost`),
      };
    },
    call: (binding, name, method, ...args) =>
      control(
        `call/${binding}/${encodeURIComponent(objectOf(binding, name))}/${method}`,
        JSON.stringify(args),
      ),
    collect: async (repositories, digests) => {
      const shards = new Set(digests.map((digest) => digest.slice(digest.indexOf(":") + 1).slice(0, 2)));
      // The ledgers tell the shards what they gave up, and these ask the ledgers.
      for (const name of repositories) await runAlarm("LEDGERS", name);
      for (const name of shards) await runAlarm("BLOB_SHARDS", name);
    },
  };
}

/** The id of the `Upload` object of a session. */
export function uploadId(location: string): string {
  const [id] = /[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}/.exec(location) ?? [];
  assert(id !== undefined, location);
  return id;
}
