/** What `npm run artefacts` made, and installing it. */
import assert from "node:assert/strict";
import { existsSync, lstatSync, readdirSync } from "node:fs";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { releaseDirectory, tarball } from "../../../scripts/release/places.ts";
import { type Architecture, ownArchitecture } from "../../../scripts/release/tree.ts";
import { version } from "../../../src/version.ts";
import { run } from "../../clients/support/programs.ts";
import { temporaryDirectory } from "../../local/program.ts";

/** The path of a file of the release. */
export function artefact(name: string): string {
  const file = join(releaseDirectory, name);
  assert(existsSync(file), `there is no ${name}: CONTRIBUTING.md says how to make the artefacts`);
  return file;
}

/** The archive of the image, for this machine unless another architecture is given. */
export function imageArchive(architecture: Architecture = ownArchitecture()): string {
  return artefact(`stowage-image-${version}-${architecture}.tar.gz`);
}

/** An installed program: its folder, and the file that `stowage` is a link to. */
export type Installed = { directory: string; main: string };

/** Installs the packed program as `npm install --global` does, in a folder of its own. */
export async function installProgram(t: TestContext): Promise<Installed> {
  const directory = temporaryDirectory(t);
  const flags = ["--prefer-offline", "--no-audit", "--no-fund", "--silent"];
  await run("npm", ["install", "--global", "--prefix", directory, ...flags, tarball]);
  return { directory, main: join(directory, "lib", "node_modules", "stowage", "main.js") };
}

/** What the files of a folder take on disk, in bytes; a file with several names counts once. */
export function diskBytes(directory: string): number {
  const blocks = new Map<number, number>();
  for (const name of readdirSync(directory, { recursive: true, encoding: "utf8" })) {
    const { ino, blocks: used } = lstatSync(join(directory, name));
    blocks.set(ino, used * 512);
  }
  return [...blocks.values()].reduce((sum, bytes) => sum + bytes, 0);
}
