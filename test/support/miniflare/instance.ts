/** A registry in Miniflare, for tests and benchmarks. */
import { Log, LogLevel, Miniflare, type SharedOptions, type WorkerOptions } from "miniflare";
import { buildWorker } from "../../../src/local/workerd/bundle.ts";
import { v8Flags } from "../../../src/local/workerd/config.ts";
import { type LocalOptions, miniflareOptions } from "./options.ts";

// As on one machine, and for the same reason: Miniflare takes them from the environment alone.
process.env.MINIFLARE_WORKERD_V8_FLAGS = v8Flags.join(" ");

/** A running registry. */
export interface Instance extends AsyncDisposable {
  /** Where it serves, without a slash at the end. */
  url: string;
  /** For what tests reach into: bindings, objects, eviction. */
  miniflare: Miniflare;
  /** Ends it at once, whatever is in flight. */
  dispose(): Promise<void>;
}

/** Everything has a default: without options, src/worker.ts serves on a free port with its data in memory. */
export interface InstanceOptions extends Partial<LocalOptions> {
  /** The module that exports the Worker; src/worker.ts if it is not given. */
  entry?: string | undefined;
  /** Miniflare options on top of those from wrangler.toml, such as more bindings. */
  miniflare?: Partial<SharedOptions & WorkerOptions>;
  /** Called when workerd had ended by itself and was started again; its memory is lost, its data is not. */
  onRestart?: () => void;
  /** Called when it could not be started again: nothing is served any more. */
  onFailure?: (error: Error) => void;
}

/** Miniflare reports here, and nowhere else, that it could not start workerd again. */
class FailureLog extends Log {
  readonly #onFailure: (error: Error) => void;

  constructor(onFailure: (error: Error) => void) {
    super(LogLevel.NONE);
    this.#onFailure = onFailure;
  }

  override error(error: Error): void {
    this.#onFailure(error);
  }
}

/**
 * Builds the Worker and serves it.
 *
 * @example
 * await using registry = await startInstance({ vars: { GC_GRACE: "0s" } });
 * await fetch(`${registry.url}/v2/`);
 */
export async function startInstance(options: InstanceOptions = {}): Promise<Instance> {
  const { entry, miniflare: more, onRestart = () => {}, onFailure = () => {}, ...local } = options;
  const script = local.script ?? (await buildWorker(entry === undefined ? {} : { entry }));
  const miniflare = new Miniflare({
    ...(await miniflareOptions({ ...local, script })),
    log: new FailureLog(onFailure),
    unsafeHandleRuntimeRestart: onRestart,
    ...more,
  });
  const dispose = () => miniflare.dispose();
  try {
    const { origin } = await miniflare.unsafeGetDirectURL();
    return { url: origin, miniflare, dispose, [Symbol.asyncDispose]: dispose };
  } catch (error) {
    await dispose().catch(() => {});
    throw error;
  }
}
