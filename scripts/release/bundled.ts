/** The packages of others whose code is bundled into what is shipped, with their licences. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { Plugin } from "esbuild";
import { projectDirectory } from "./places.ts";

/** A package whose code is in a bundle. */
export type BundledPackage = { name: string; version: string; license: string; text: string };

/** Records the packages that a bundle is made of. */
export class BundledPackages {
  readonly #folders = new Set<string>();

  /** The plugin for esbuild that sees them. */
  readonly plugin: Plugin = {
    name: "bundled-packages",
    setup: ({ onLoad }) => {
      onLoad({ filter: /[\\/]node_modules[\\/]/ }, ({ path }) => {
        const [folder] = /^.*[\\/]node_modules[\\/](?:@[^\\/]+[\\/])?[^\\/]+/.exec(path) ?? [];
        if (folder !== undefined) this.#folders.add(folder);
        return undefined;
      });
    },
  };

  /** What was seen, by name. */
  list(): BundledPackage[] {
    return [...this.#folders].toSorted().map((folder) => {
      const { name, version, license } = JSON.parse(readFileSync(join(folder, "package.json"), "utf8"));
      return { name, version, license, text: licenceIn(folder) };
    });
  }
}

function licenceIn(folder: string): string {
  const file = readdirSync(folder).find((name) => /^licen[cs]e(\.|$)/i.test(name));
  if (file === undefined) throw new Error(`${folder} has no licence`);
  return readFileSync(join(folder, file), "utf8");
}

/** The notices that go with the program. */
export function noticesOf(packages: readonly BundledPackage[]): string {
  const own = readFileSync(join(projectDirectory, "LICENSE"), "utf8");
  if (!/Apache License/.test(own)) throw new Error("LICENSE is not the one that the notices speak of");
  const parts = packages.map(
    ({ name, version, license, text }) => `${name} ${version} (${license})\n\n${text.trim()}\n`,
  );
  return ["Stowage contains code of these packages:\n", ...parts].join(`\n${"-".repeat(78)}\n\n`);
}
