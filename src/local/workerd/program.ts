/**
 * What workerd runs: its configuration with the Worker in it, as one file that `npm run build` makes. A server that is
 * started from the sources makes it anew when they have changed.
 */
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { writeAtomically } from "../files.ts";
import { whyNotRun, workerdFile } from "./binary.ts";
import { buildWorker, endBundler, projectDirectory } from "./bundle.ts";
import { workerdConfig } from "./config.ts";
import { ProgramError } from "./errors.ts";

const built = join(projectDirectory, "dist");
const programFile = join(built, "worker.bin");
const sourcesFile = join(built, "sources");

/**
 * Bundles a Worker, and compiles workerd's configuration with it.
 *
 * @param entry the module that exports the Worker, relative to the project's folder or absolute; src/worker.ts if it is
 *   not given
 * @returns the configuration in Cap'n Proto's binary form
 * @throws WorkerdError if workerd does not run on this machine; esbuild's BuildFailure, or wrangler's UserError where wrangler.toml is wrong
 */
export async function compileProgram(entry?: string): Promise<Uint8Array> {
  const { readWranglerOptions } = await import("./wrangler-options.ts");
  const [script, { name, workerOptions, objectClasses }] = await Promise.all([
    buildWorker(entry === undefined ? {} : { entry }),
    readWranglerOptions(),
  ]);
  // A server that was started from its sources goes on without it.
  await endBundler();
  const { compatibilityDate = "", compatibilityFlags = [] } = workerOptions;
  const directory = mkdtempSync(join(tmpdir(), "stowage-build-"));
  try {
    const config = join(directory, "workerd.capnp");
    writeFileSync(join(directory, "worker.js"), script);
    writeFileSync(
      config,
      workerdConfig({ name, module: "worker.js", compatibilityDate, compatibilityFlags, objectClasses }),
    );
    return compileConfig(config);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

/** Has workerd compile its configuration, with the module that it embeds. */
function compileConfig(file: string): Uint8Array {
  const executable = workerdFile();
  try {
    return execFileSync(executable, ["compile", "--config-only", file], {
      maxBuffer: 64 * 1024 * 1024,
      stdio: ["ignore", "pipe", "pipe"],
    });
  } catch (error) {
    throw whyNotRun(executable) ?? error;
  }
}

/**
 * `npm run build`: makes the file, from the sources as they are.
 *
 * @throws ProgramError if what builds it is not installed
 */
export async function buildProgram(): Promise<Uint8Array> {
  try {
    import.meta.resolve("esbuild");
    import.meta.resolve("wrangler");
  } catch {
    throw new ProgramError(
      "the Worker is not built, and what builds it is not installed: run `npm ci && npm run build` first, and remove what is for development after it",
    );
  }
  const sources = hashSources();
  const program = await compileProgram();
  mkdirSync(built, { recursive: true });
  writeAtomically(programFile, program);
  writeAtomically(sourcesFile, sources);
  return program;
}

/**
 * The program to run: the built one, if the sources have not changed since; otherwise it is built now.
 *
 * @throws ProgramError if that is not possible
 */
export async function readProgram(): Promise<Uint8Array> {
  if (readText(sourcesFile) === hashSources() && existsSync(programFile)) return readFileSync(programFile);
  return await buildProgram();
}

/** A digest of everything that the build reads. Dependencies are those of package-lock.json. */
function hashSources(): string {
  const hash = createHash("sha256");
  const sources = readdirSync(join(projectDirectory, "src"), { encoding: "utf8", recursive: true });
  const files = sources.filter((name) => /\.\w+$/.test(name)).map((name) => join("src", name));
  for (const file of ["wrangler.toml", "package.json", "package-lock.json", ...files.sort()]) {
    hash
      .update(`${file}\n`)
      .update(readText(join(projectDirectory, file)) ?? "")
      .update("\0");
  }
  return hash.digest("hex");
}

function readText(file: string): string | undefined {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return undefined;
  }
}
