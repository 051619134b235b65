/** What programs push: blobs of several sizes, and the manifests of a program's plans. */
import { imageIndexType, imageManifestType } from "../../../src/oci/media-type.ts";
import {
  configType,
  type Descriptor,
  digestOf,
  imageIndex,
  imageManifest,
  layerType,
} from "../../support/content.ts";
import type { ManifestPlan } from "./program.ts";

/** Nothing; small ones, that isolates keep in memory; ones that they do not, of two parts and of four. */
const blobSizes = [100, 70_000, 0, 150_000, 300];

export type Content = { digest: string; bytes: Uint8Array };

/** The blobs of all programs. */
export const blobs: Content[] = blobSizes.map((size, index) => {
  const bytes = Uint8Array.from({ length: size }, (_, place) => (place * 31 + (place >> 8) + index) % 256);
  return { bytes, digest: digestOf(bytes) };
});

/** A manifest of a program. References are numbers of blobs (image) or of manifests (index). */
export type ManifestContent = Content & {
  kind: ManifestPlan["kind"];
  mediaType: string;
  references: number[];
  subject: number | undefined;
};

/** Makes a program's manifests; what they reference comes before them. */
export function makeManifests(plans: ManifestPlan[]): ManifestContent[] {
  const made: ManifestContent[] = [];
  for (const [number, plan] of plans.entries()) {
    const kind = number === 0 ? "image" : plan.kind;
    const count = kind === "image" ? blobs.length : number;
    const references = [...new Set(plan.references.map((reference) => reference % count))];
    const subject = plan.subject === null || number === 0 ? undefined : plan.subject % number;
    const more = {
      annotations: { number: String(number) },
      ...(subject === undefined ? {} : { subject: descriptorOf(made[subject], made[subject]?.mediaType) }),
    };
    const bytes =
      kind === "image"
        ? makeImage(references, more)
        : imageIndex(
            references.map((reference) => descriptorOf(made[reference], made[reference]?.mediaType)),
            more,
          );
    const mediaType = kind === "image" ? imageManifestType : imageIndexType;
    made.push({ kind, mediaType, references, subject, bytes, digest: digestOf(bytes) });
  }
  return made;
}

function makeImage(references: number[], more: object): Uint8Array {
  const [config, ...layers] = references.map((reference, index) =>
    descriptorOf(blobs[reference], index === 0 ? configType : layerType),
  );
  if (config === undefined) throw new Error("an image has a config");
  return imageManifest(config, layers, more);
}

function descriptorOf(content: Content | undefined, mediaType = ""): Descriptor {
  if (content === undefined) throw new Error("a manifest references what comes before it");
  const { digest, bytes } = content;
  return { mediaType, digest, size: bytes.byteLength };
}
