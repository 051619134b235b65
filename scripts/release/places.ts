/** Where a release is made, and of what. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { version } from "../../src/version.ts";

/** The project's folder. */
export const projectDirectory = join(import.meta.dirname, "..", "..");

/** The folder of what is published. */
export const releaseDirectory = join(projectDirectory, "dist", "release");

/** The npm package before it is packed. */
export const packageDirectory = join(projectDirectory, "dist", "package");

/** What this project's package.json says. */
export const manifest: {
  name: string;
  description: string;
  license: string;
  dependencies: { node: string; workerd: string };
} = JSON.parse(readFileSync(join(projectDirectory, "package.json"), "utf8"));

/** The file of the packed program. */
export const tarball = join(releaseDirectory, `${manifest.name}-${version}.tgz`);
