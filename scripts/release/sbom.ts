/** Bills of materials in CycloneDX's form: what is shipped, with versions and licences. Source: CycloneDX 1.6. */
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { version } from "../../src/version.ts";
import type { BundledPackage } from "./bundled.ts";
import { manifest } from "./places.ts";
import { architectures, type Tree } from "./tree.ts";

/** A part of what is shipped. */
export type Component = {
  type: "library" | "application";
  name: string;
  version: string;
  purl: string;
  licenses?: { license: { id: string } }[];
  hashes?: { alg: "SHA-256"; content: string }[];
};

/** The packages whose code is in the bundles. */
export function bundledComponents(packages: readonly BundledPackage[]): Component[] {
  return packages.map(({ name, version: of, license }) => ({
    type: "library",
    name,
    version: of,
    purl: npmPurl(name, of),
    licenses: [{ license: { id: license } }],
  }));
}

/** workerd, which the npm package depends on. */
export function workerdComponent(): Component {
  const { workerd } = manifest.dependencies;
  return {
    type: "application",
    name: "workerd",
    version: workerd,
    purl: npmPurl("workerd", workerd),
    licenses: [{ license: { id: "Apache-2.0" } }],
  };
}

/** The executables of a tree, with their digests. */
export function executableComponents({ directory, node, architecture }: Tree): Component[] {
  const cpu = architectures[architecture];
  const platform = `@cloudflare/workerd-linux-${cpu === "x64" ? "64" : cpu}`;
  const { dependencies } = manifest;
  return [
    {
      type: "application",
      name: "node",
      version: dependencies.node,
      purl: npmPurl(`node-linux-${cpu}`, dependencies.node),
      hashes: [{ alg: "SHA-256", content: sha256(node) }],
      licenses: [{ license: { id: "MIT" } }],
    },
    {
      ...workerdComponent(),
      purl: npmPurl(platform, dependencies.workerd),
      hashes: [
        { alg: "SHA-256", content: sha256(join(directory, "node_modules", platform, "bin", "workerd")) },
      ],
    },
  ];
}

/**
 * The bill of materials of an artefact, as JSON. It is the same for the same artefact: its number follows from the
 * artefact's bytes.
 *
 * @param file the artefact
 * @param epochSeconds when it was made
 */
export function billOfMaterials(
  file: string,
  components: readonly Component[],
  epochSeconds: number,
): string {
  const digest = sha256(file);
  const own = `pkg:generic/${manifest.name}@${version}`;
  const bill = {
    $schema: "http://cyclonedx.org/schema/bom-1.6.schema.json",
    bomFormat: "CycloneDX",
    specVersion: "1.6",
    serialNumber: `urn:uuid:${uuidOf(digest)}`,
    version: 1,
    metadata: {
      timestamp: new Date(epochSeconds * 1000).toISOString(),
      component: {
        type: "application",
        "bom-ref": own,
        name: manifest.name,
        version,
        purl: own,
        licenses: [{ license: { id: manifest.license } }],
        hashes: [{ alg: "SHA-256", content: digest }],
      },
    },
    components: components.map((component) => ({ "bom-ref": component.purl, ...component })),
    dependencies: [{ ref: own, dependsOn: components.map(({ purl }) => purl) }],
  };
  return `${JSON.stringify(bill, undefined, 2)}\n`;
}

/** A UUID of version 8, of the first bytes of a digest. Source: RFC 9562, 5.8. */
function uuidOf(digest: string): string {
  const variant = ((Number.parseInt(digest.slice(16, 17), 16) & 0x3) | 0x8).toString(16);
  return [
    digest.slice(0, 8),
    digest.slice(8, 12),
    `8${digest.slice(13, 16)}`,
    `${variant}${digest.slice(17, 20)}`,
    digest.slice(20, 32),
  ].join("-");
}

/** The address of a package of npm's registry. Source: the package URL specification. */
function npmPurl(name: string, of: string): string {
  return `pkg:npm/${name.replace("@", "%40")}@${of}`;
}

function sha256(file: string): string {
  return createHash("sha256").update(readFileSync(file)).digest("hex");
}
