/** `npm run package`: the program as an npm package that needs nothing but Node and workerd. */
import { execFileSync } from "node:child_process";
import { cpSync, globSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { build } from "esbuild";
import { bundleInterface } from "../../src/local/interface.ts";
import { buildWorker } from "../../src/local/workerd/bundle.ts";
import { buildProgram } from "../../src/local/workerd/program.ts";
import { version } from "../../src/version.ts";
import { type BundledPackage, BundledPackages, noticesOf } from "./bundled.ts";
import { closeModes } from "./modes.ts";
import { manifest, packageDirectory, projectDirectory, releaseDirectory } from "./places.ts";

/** The oldest Node that the command line runs with. */
const oldestNode = "20.11";

/**
 * Makes the package, in dist/package, and packs it into dist/release.
 *
 * @returns the packages of others that are in it
 */
export async function packProgram(): Promise<BundledPackage[]> {
  rmSync(packageDirectory, { recursive: true, force: true });
  mkdirSync(packageDirectory, { recursive: true });
  mkdirSync(releaseDirectory, { recursive: true });
  const bundled = new BundledPackages();
  writeFileSync(join(packageDirectory, "worker.bin"), await buildProgram());
  await buildWorker({ plugins: [bundled.plugin] });
  await bundleInterface([bundled.plugin]);
  await bundleProgram(bundled);
  const packages = bundled.list();
  writeFileSync(join(packageDirectory, "NOTICES.txt"), noticesOf(packages));
  writeFileSync(join(packageDirectory, "package.json"), `${JSON.stringify(packageJson(), undefined, 2)}\n`);
  const copied = [
    "LICENSE",
    "README.md",
    "CHANGELOG.md",
    ...globSync("docs/*.md", { cwd: projectDirectory }),
  ];
  for (const file of copied) cpSync(join(projectDirectory, file), join(packageDirectory, file));
  closeModes(packageDirectory, /^main\.js$/);
  execFileSync("npm", ["pack", "--silent", "--pack-destination", releaseDirectory, packageDirectory], {
    stdio: ["ignore", "ignore", "inherit"],
  });
  return packages;
}

/** The server is in a file of its own, which the other commands do not load. */
async function bundleProgram({ plugin }: BundledPackages): Promise<void> {
  await build({
    absWorkingDir: projectDirectory,
    bundle: true,
    splitting: true,
    chunkNames: "[name]-[hash]",
    entryPoints: { main: join("src", "installed", "main.ts") },
    format: "esm",
    legalComments: "none",
    logLevel: "warning",
    outdir: packageDirectory,
    platform: "node",
    plugins: [plugin],
    target: `node${oldestNode}`,
  });
}

function packageJson(): object {
  const { name, description, license, dependencies } = manifest;
  return {
    name,
    version,
    description,
    license,
    type: "module",
    bin: { [name]: "main.js" },
    engines: { node: `>=${oldestNode}` },
    dependencies: { workerd: dependencies.workerd },
  };
}

if (import.meta.main) await packProgram();
