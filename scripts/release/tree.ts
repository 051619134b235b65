/**
 * The installed program with its Node, for one architecture: what the Debian package and the image contain.
 *
 * `node scripts/release/tree.ts [ARCHITECTURE]` makes one of the packed program.
 */
import { execFileSync } from "node:child_process";
import { existsSync, globSync, mkdirSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { manifest, projectDirectory, tarball } from "./places.ts";

/** Architectures as Debian and the image specification call them, with npm's names. */
export const architectures = { amd64: "x64", arm64: "arm64" } as const;

/** The name of an architecture. */
export type Architecture = keyof typeof architectures;

/** That of this machine. */
export function ownArchitecture(): Architecture {
  const own = (Object.keys(architectures) as Architecture[]).find(
    (name) => architectures[name] === process.arch,
  );
  if (own === undefined) throw new Error(`the program is not made for ${process.arch}`);
  return own;
}

/** An installed program. `directory`: its files; `node`: the executable of Node, among them. */
export type Tree = { architecture: Architecture; directory: string; node: string };

/**
 * Installs the packed program and Node from the package registry, for this architecture or another one. No script of a
 * package runs.
 *
 * @returns dist/tree/ARCHITECTURE: main.js and the files beside it, node_modules with workerd, and bin/node
 */
export function installTree(architecture: Architecture): Tree {
  const cpu = architectures[architecture];
  const directory = join(projectDirectory, "dist", "tree", architecture);
  rmSync(directory, { recursive: true, force: true });
  const staging = join(directory, "staging");
  mkdirSync(join(directory, "bin"), { recursive: true });
  mkdirSync(staging);
  const node = `node-linux-${cpu}`;
  // Without --force npm takes a package that is named for no other processor than this machine's.
  const flags = [
    "--force",
    "--os=linux",
    `--cpu=${cpu}`,
    "--libc=glibc",
    "--ignore-scripts",
    "--no-package-lock",
    "--omit=dev",
  ];
  const quiet = ["--silent", "--no-audit", "--no-fund", "--prefer-offline", "--prefix", staging];
  const packages = [tarball, `${node}@${manifest.dependencies.node}`];
  execFileSync("npm", ["install", ...flags, ...quiet, ...packages], {
    stdio: ["ignore", "ignore", "inherit"],
  });
  const modules = join(staging, "node_modules");
  for (const name of globSync("*", { cwd: join(modules, manifest.name) }))
    renameSync(join(modules, manifest.name, name), join(directory, name));
  const executable = join(directory, "bin", "node");
  renameSync(join(modules, node, "bin", "node"), executable);
  renameSync(join(modules, node, "LICENSE"), join(directory, "bin", "LICENSE.node"));
  mkdirSync(join(directory, "node_modules"));
  for (const name of ["workerd", "@cloudflare"])
    renameSync(join(modules, name), join(directory, "node_modules", name));
  rmSync(staging, { recursive: true });
  const workerd = join(
    directory,
    "node_modules",
    "@cloudflare",
    `workerd-linux-${cpu === "x64" ? "64" : cpu}`,
  );
  if (!existsSync(join(workerd, "bin", "workerd"))) throw new Error(`there is no workerd in ${workerd}`);
  return { architecture, directory, node: executable };
}

if (import.meta.main) {
  const [name = ownArchitecture()] = process.argv.slice(2);
  if (!(name in architectures)) throw new Error(`the program is not made for ${name}`);
  installTree(name as Architecture);
}
