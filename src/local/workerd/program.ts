/**
 * What workerd runs: its configuration with the Worker in it, as one file that `npm run build` makes. A server that is
 * started from the sources makes it anew when they have changed.
 */
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { writeForAll } from "../files.ts";
import { whyNotRun, workerdFile } from "./binary.ts";
import { buildWorker, endBundler, projectDirectory } from "./bundle.ts";
import { workerdConfig } from "./config.ts";
import { ProgramError } from "./errors.ts";

const built = join(projectDirectory, "dist");
const filesIn = (folder: string) => ({
  program: join(folder, "worker.bin"),
  sources: join(folder, "sources"),
});

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
 * @param folder where it is kept
 * @throws ProgramError if what builds it is not installed; an error of the file system if it cannot be kept
 */
export async function buildProgram(folder: string = built): Promise<Uint8Array> {
  const made = await build();
  keep(folder, made);
  return made.program;
}

/**
 * The program to run: the built one, if the sources have not changed since; otherwise it is built now, and kept if this
 * user may write there.
 *
 * @param folder where it is kept
 * @throws ProgramError if that is not possible
 */
export async function readProgram(folder: string = built): Promise<Uint8Array> {
  const files = filesIn(folder);
  const kept = readText(files.sources) === hashSources() ? readBytes(files.program) : undefined;
  if (kept !== undefined) return kept;
  const made = await build();
  try {
    keep(folder, made);
  } catch {
    // Another user's installation, or a disk that is full or read-only: the next start builds it again.
  }
  return made.program;
}

/** What is built, and the digest of what it was built from. */
type Build = { program: Uint8Array; sources: string };

async function build(): Promise<Build> {
  try {
    import.meta.resolve("esbuild");
    import.meta.resolve("wrangler");
  } catch {
    throw new ProgramError(
      "the Worker is not built, and what builds it is not installed: run `npm ci && npm run build` first, and remove what is for development after it",
    );
  }
  const sources = hashSources();
  return { program: await compileProgram(), sources };
}

function keep(folder: string, { program, sources }: Build): void {
  const files = filesIn(folder);
  writeForAll(files.program, program);
  writeForAll(files.sources, sources);
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
  return readBytes(file)?.toString();
}

function readBytes(file: string): Buffer | undefined {
  try {
    return readFileSync(file);
  } catch {
    return undefined;
  }
}
