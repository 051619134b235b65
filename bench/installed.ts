/** What `npm ci --omit=dev` installs: the packages of the lock file that are no development's, as they lie on this disk. */
import { existsSync, globSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { projectDirectory } from "../src/local/workerd/bundle.ts";

type Lock = { packages: Record<string, { dev?: boolean }> };

/** How many packages there are, and their files in MB. */
export function installed(): { packages: number; megabytes: number } {
  const lock: Lock = JSON.parse(readFileSync(join(projectDirectory, "package-lock.json"), "utf8"));
  const folders = Object.entries(lock.packages)
    .filter(([path, { dev }]) => path !== "" && dev !== true)
    .map(([path]) => join(projectDirectory, path))
    .filter((folder) => existsSync(folder));
  const bytes = folders.reduce((sum, folder) => sum + bytesIn(folder), 0);
  return { packages: folders.length, megabytes: bytes / 1e6 };
}

function bytesIn(folder: string): number {
  const files = globSync("**/*", {
    cwd: folder,
    withFileTypes: true,
    exclude: (file) => file.name === "node_modules",
  });
  return files
    .filter((file) => file.isFile())
    .reduce((sum, file) => sum + statSync(join(file.parentPath, file.name)).size, 0);
}
