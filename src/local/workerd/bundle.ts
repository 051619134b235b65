/**
 * The Worker as one module, the way `wrangler deploy` would upload it, but with the names and lines of its sources, so
 * that an error on one machine says where it was.
 */
import { join } from "node:path";
import type { Plugin } from "esbuild";
import { readInterface } from "../interface.ts";

/** Ends the process that esbuild keeps for the next bundle. */
export async function endBundler(): Promise<void> {
  const { stop } = await import("esbuild");
  await stop();
}

/** The project's folder. */
export const projectDirectory = join(import.meta.dirname, "..", "..", "..");

const bundles = new Map<string, Promise<string>>();

async function bundle(entry: string, plugins: Plugin[], minify: boolean): Promise<string> {
  // It is a development dependency, and a server that has been built runs without it.
  const { build } = await import("esbuild");
  const ownInterface = interfaceModule(await readInterface());
  const result = await build({
    absWorkingDir: projectDirectory,
    bundle: true,
    conditions: ["workerd", "worker", "browser"],
    entryPoints: [entry],
    external: ["node:*", "cloudflare:*"],
    format: "esm",
    legalComments: "none",
    logLevel: "silent",
    mainFields: ["workerd", "worker", "module", "main"],
    minify,
    plugins: [...plugins, ownInterface],
    target: "es2024",
    write: false,
  });
  const [file] = result.outputFiles;
  if (file === undefined) throw new Error(`nothing came out of bundling ${entry}`);
  return file.text;
}

/** Has `#interface` be a module with this text, which may not be in a file: see {@link readInterface}. */
function interfaceModule(contents: string): Plugin {
  return {
    name: "interface",
    setup: (build) => {
      build.onResolve({ filter: /^#interface$/ }, () => ({ path: "interface.js", namespace: "built" }));
      build.onLoad({ filter: /^interface\.js$/, namespace: "built" }, () => ({ contents }));
    },
  };
}

/**
 * Bundles the Worker with everything it imports. What was bundled once is not bundled again.
 *
 * @param options.entry the module that exports the Worker and its Durable Objects (src/worker.ts);
 *   tests pass one that wraps it
 * @param options.plugins change sources while bundling; such bundles are not cached
 * @param options.minify makes it as small as what is deployed; not cached either
 * @returns the source of an ES module
 * @throws esbuild's BuildFailure, whose message lists what is wrong in the source
 */
export function buildWorker(
  options: { entry?: string; plugins?: Plugin[]; minify?: boolean } = {},
): Promise<string> {
  const { entry = "src/worker.ts", plugins, minify } = options;
  if (plugins !== undefined || minify !== undefined) return bundle(entry, plugins ?? [], minify === true);
  const built = bundles.get(entry) ?? bundle(entry, [], false);
  bundles.set(entry, built);
  return built;
}
