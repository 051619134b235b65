#!/usr/bin/env node
/**
 * The program `stowage` as packages install it: the command line, and the local server with the Worker as it was built.
 * `npm run package` makes one folder of it, with what it imports; workerd alone is a package of its own.
 */
import "./node-20.ts";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { CommandError } from "../cli/errors.ts";
import { runProcess } from "../cli/process.ts";

// Deno warns of what the dependencies use.
process.noDeprecation = true;

await runProcess(async (args) => {
  await requireSqlite();
  const { run } = await import("../local/run.ts");
  await run(args, { program: () => readFile(join(import.meta.dirname, "worker.bin")) });
});

/**
 * The lock of a data directory is SQLite's.
 *
 * @throws CommandError where this Node has none
 */
async function requireSqlite(): Promise<void> {
  const { emitWarning } = process;
  // Node 22 has it, and says at each start that it may still change.
  process.emitWarning = () => {};
  try {
    await import("node:sqlite");
  } catch {
    throw new CommandError(
      `a registry needs Node 22.13 or newer, or Deno, and this is Node ${process.versions.node}; the other commands run with it`,
    );
  } finally {
    process.emitWarning = emitWarning;
  }
}
