/**
 * Wrangler's reading of wrangler.toml, cached between starts: loading wrangler takes most of a second of processor time,
 * and the result depends only on the file and wrangler's version.
 */
import { createHash } from "node:crypto";
import { mkdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import type { WorkerOptions } from "miniflare";
import type { Unstable_Config } from "wrangler";
import { cacheDirectory } from "../compile-cache.ts";
import { writeAtomically } from "../files.ts";
import { projectDirectory } from "./bundle.ts";

/** The Worker's name, variables and Miniflare options as wrangler.toml has them: plain data. */
export interface WranglerOptions {
  name: string;
  vars: Record<string, string>;
  workerOptions: Partial<WorkerOptions>;
  /** The class of Durable Objects behind each binding. */
  objectClasses: Record<string, string>;
}

const configFile = join(projectDirectory, "wrangler.toml");

/**
 * Reads wrangler.toml.
 *
 * @param cache the folder for results; a folder that cannot be read or written is ignored
 * @throws wrangler's UserError, which names what is wrong in the file
 */
export async function readWranglerOptions(cache: string = cacheDirectory): Promise<WranglerOptions> {
  const file = join(cache, `wrangler-${cacheKey()}.json`);
  const kept = readKept(file);
  if (kept !== undefined) return kept;
  const options = await askWrangler();
  keep(file, options);
  return options;
}

/** The number is that of the form of what is kept. */
function cacheKey(): string {
  const wrangler = createRequire(import.meta.url).resolve("wrangler/package.json");
  const { version }: { version: string } = JSON.parse(readFileSync(wrangler, "utf8"));
  return createHash("sha256").update(`2 ${version}\n`).update(readFileSync(configFile)).digest("hex");
}

function readKept(file: string): WranglerOptions | undefined {
  try {
    return JSON.parse(readFileSync(file, "utf8"));
  } catch {
    return undefined;
  }
}

function keep(file: string, options: WranglerOptions): void {
  try {
    mkdirSync(dirname(file), { recursive: true });
    writeAtomically(file, JSON.stringify(options));
  } catch {
    // Another user's installation, or a disk that is read-only: the next start asks wrangler again.
  }
}

async function askWrangler(): Promise<WranglerOptions> {
  const { unstable_getMiniflareWorkerOptions, unstable_readConfig } = await import("wrangler");
  // Secrets are a deployment's: wrangler would look for them in the environment, and what it finds must not be kept.
  const { secrets: _, ...config } = unstable_readConfig({ config: configFile, env: "" });
  const { workerOptions } = unstable_getMiniflareWorkerOptions(config as Unstable_Config);
  return {
    name: config.name ?? "stowage",
    vars: config.vars as Record<string, string>,
    // Undefined values are removed, so that a result is the same with and without the cache.
    workerOptions: JSON.parse(JSON.stringify(workerOptions)),
    objectClasses: Object.fromEntries(
      (config as Unstable_Config).durable_objects.bindings.map(({ name, class_name }) => [name, class_name]),
    ),
  };
}
