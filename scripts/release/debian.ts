/** The Debian package: the program, its Node, the service, and completions. */
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { cpSync, globSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { gzipSync } from "node:zlib";
import { commands, flagsOf } from "../../src/cli/commands.ts";
import { completionScripts } from "../../src/cli/completion.ts";
import { version } from "../../src/version.ts";
import { closeModes } from "./modes.ts";
import { manifest, projectDirectory, releaseDirectory } from "./places.ts";
import type { Tree } from "./tree.ts";

const sources = join(projectDirectory, "deploy", "debian");
const maintainer = "The Stowage authors <stowage@localhost>";

/**
 * Makes the package of an installed program. It is compressed with zstd, which dpkg reads wherever workerd runs, and
 * which takes a quarter of xz' time.
 *
 * @param epochSeconds the time of everything in it
 * @returns its file, in dist/release
 */
export function buildDebian(tree: Tree, epochSeconds: number): string {
  const root = join(projectDirectory, "dist", "debian", tree.architecture);
  rmSync(root, { recursive: true, force: true });
  const at = (path: string) => {
    const file = join(root, path);
    mkdirSync(dirname(file), { recursive: true });
    return file;
  };
  const write: Write = (path, content) => writeFileSync(at(path), content);
  cpSync(tree.directory, at("usr/lib/stowage"), { recursive: true });
  rmSync(join(root, "usr/lib/stowage/docs"), { recursive: true });
  for (const name of ["README.md", "CHANGELOG.md", "LICENSE", "node_modules/workerd/bin"])
    rmSync(join(root, "usr/lib/stowage", name), { recursive: true });
  write("usr/bin/stowage", '#!/bin/sh\nexec /usr/lib/stowage/bin/node /usr/lib/stowage/main.js "$@"\n');
  write("usr/lib/systemd/system/stowage.service", readFileSync(join(sources, "stowage.service")));
  write("etc/default/stowage", readFileSync(join(sources, "stowage.default")));
  mkdirSync(join(root, "etc/stowage"));
  writeCompletions(write);
  writeDocuments(tree, epochSeconds, write);
  const files = globSync("**/*", { cwd: root }).filter((name) => statSync(join(root, name)).isFile());
  const sums = files.toSorted().map((name) => `${md5(join(root, name))}  ${name}\n`);
  write("DEBIAN/md5sums", sums.join(""));
  write("DEBIAN/conffiles", "/etc/default/stowage\n");
  const bytes = files.reduce((sum, name) => sum + statSync(join(root, name)).size, 0);
  write("DEBIAN/control", controlOf(tree, Math.ceil(bytes / 1024)));
  for (const script of ["postinst", "prerm", "postrm"])
    write(`DEBIAN/${script}`, readFileSync(join(sources, script)));
  closeModes(root, /(^|\/)bin\/(node|workerd|stowage)$|^DEBIAN\/p/);
  const file = join(releaseDirectory, `${manifest.name}_${version}_${tree.architecture}.deb`);
  execFileSync("dpkg-deb", ["--root-owner-group", "-Zzstd", "-z12", "--build", root, file], {
    env: { ...process.env, SOURCE_DATE_EPOCH: String(epochSeconds) },
    stdio: ["ignore", "ignore", "inherit"],
  });
  return file;
}

type Write = (path: string, content: string | Uint8Array) => void;

function writeCompletions(write: Write): void {
  const completed = commands.map((command) => ({ ...command, flags: flagsOf(command) }));
  const places = {
    bash: "usr/share/bash-completion/completions/stowage",
    zsh: "usr/share/zsh/vendor-completions/_stowage",
    fish: "usr/share/fish/vendor_completions.d/stowage.fish",
  };
  for (const [shell, place] of Object.entries(places))
    write(place, completionScripts[shell]?.(completed) ?? "");
}

function writeDocuments({ directory }: Tree, epochSeconds: number, write: Write): void {
  const documents = "usr/share/doc/stowage";
  for (const name of ["README.md", ...globSync("docs/*.md", { cwd: directory })])
    write(join(documents, name), readFileSync(join(directory, name)));
  write(join(documents, "README.Debian"), readFileSync(join(sources, "README.Debian")));
  write(join(documents, "CHANGELOG.md"), readFileSync(join(directory, "CHANGELOG.md")));
  const changes = `${manifest.name} (${version}) unstable; urgency=medium

  * CHANGELOG.md beside this file says what changed.

 -- ${maintainer}  ${debianDate(epochSeconds)}
`;
  write(join(documents, "changelog.gz"), gzipSync(changes, { level: 9 }));
  const licences = [
    "Stowage is under the Apache License 2.0, which is in /usr/share/common-licenses/Apache-2.0. So is workerd, in\n" +
      "/usr/lib/stowage/node_modules.\n",
    readFileSync(join(directory, "NOTICES.txt"), "utf8"),
    `Node, in /usr/lib/stowage/bin:\n\n${readFileSync(join(directory, "bin", "LICENSE.node"), "utf8")}`,
  ];
  write(join(documents, "copyright"), licences.join(`\n${"=".repeat(78)}\n\n`));
}

/** A date as RFC 5322 has it, in UTC. */
function debianDate(epochSeconds: number): string {
  return new Date(epochSeconds * 1000).toUTCString().replace("GMT", "+0000");
}

function controlOf({ architecture }: Tree, kibibytes: number): string {
  return `Package: ${manifest.name}
Version: ${version}
Architecture: ${architecture}
Maintainer: ${maintainer}
Installed-Size: ${kibibytes}
Depends: libc6 (>= 2.35), libstdc++6, passwd
Recommends: systemd (>= 250)
Section: net
Priority: optional
Description: container registry with its data in one directory
 docker, podman, containerd, skopeo, helm and every other client of the OCI
 distribution specification push to it and pull from it. It has accounts,
 tokens, webhooks, metrics and collection of garbage, and needs no database.
 .
 The package has its own Node and workerd, and fetches nothing.
`;
}

function md5(file: string): string {
  return createHash("md5").update(readFileSync(file)).digest("hex");
}
