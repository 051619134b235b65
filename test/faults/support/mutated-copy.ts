/** A copy of the project in which a bug is put before one of its tests is run. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { cp, mkdtemp, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { projectDirectory } from "../../../src/local/workerd/bundle.ts";
import { type Replacement, replaced } from "./replacing.ts";

/** What tests need of the project. */
const copied = [
  "src",
  "test",
  "scripts",
  "package.json",
  "package-lock.json",
  "tsconfig.json",
  "wrangler.toml",
  "deno.json",
];

/** How long a test may take, in milliseconds: a bug may make it wait for ever. */
const patienceMs = 120_000;

/** The copy. It ends with its scope. */
export class MutatedCopy implements AsyncDisposable {
  readonly #directory: string;

  private constructor(directory: string) {
    this.#directory = directory;
  }

  /** Makes one. */
  static async make(): Promise<MutatedCopy> {
    const directory = await mkdtemp(join(tmpdir(), "stowage-mutated-"));
    for (const name of copied)
      await cp(join(projectDirectory, name), join(directory, name), { recursive: true });
    await symlink(join(projectDirectory, "node_modules"), join(directory, "node_modules"));
    return new MutatedCopy(directory);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await rm(this.#directory, { recursive: true, force: true });
  }

  /** Whether a test fails that passes without these changes; `title` is the whole of its title. */
  async fails(changes: Replacement[], file: string, title: string): Promise<boolean> {
    const originals = new Map<string, string>();
    try {
      for (const [changed, ofFile] of Map.groupBy(changes, (change) => change.file)) {
        const path = join(this.#directory, changed);
        const text = await readFile(path, "utf8");
        originals.set(path, text);
        await writeFile(path, replaced(text, ofFile));
      }
      const lines = await this.#run(file, title);
      return lines.some((line) => line.includes(`not ok`) && line.endsWith(`- ${title}`));
    } finally {
      for (const [path, text] of originals) await writeFile(path, text);
    }
  }

  /** Runs the tests of a title, or all of a file; returns what is said of them. */
  async #run(file: string, title: string): Promise<string[]> {
    const pattern = title === "" ? [] : [`--test-name-pattern=${literal(title)}$`];
    const args = ["--test", "--test-timeout=30000", "--test-reporter=tap", ...pattern, file];
    // The runner of this process must not be taken for its own.
    const { NODE_TEST_CONTEXT: _, ...env } = process.env;
    const child = spawn(process.execPath, args, {
      cwd: this.#directory,
      env,
      stdio: ["ignore", "pipe", "inherit"],
      detached: true,
    });
    // The runner has a process for the file, which may never end; they are one group.
    const end = () => {
      if (child.pid !== undefined) process.kill(-child.pid, "SIGKILL");
    };
    const impatient = setTimeout(end, patienceMs);
    let said = "";
    child.stdout.setEncoding("utf8").on("data", (text: string) => {
      said += text;
    });
    await once(child, "close");
    clearTimeout(impatient);
    return said.split("\n");
  }
}

function literal(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
}
