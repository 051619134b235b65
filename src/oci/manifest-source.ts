/**
 * Reads the source text of a manifest as any client might: finds every digest that some client could read in it, and
 * fields that two clients could read differently. `JSON.parse` gives only one reading.
 */

import { FieldNames, type JsonVisitor, walkJson } from "./json.ts";
import { type Digest, parseDigest } from "./reference.ts";

/** How many references a manifest may have, counting repeated digests each time. The subject is not one of them. */
export const maxReferences = 20_000;

/** How deeply objects and arrays may be nested in a manifest: the limit of Go's `encoding/json`. */
export const maxDepth = 10_000;

/** What is wrong with a manifest, in words for its author. */
export class InvalidManifest extends Error {}

/** What was found in the source of a manifest. */
export type ManifestSource = {
  /**
   * All digests of supported algorithms under a key `digest` or `blobSum`, anywhere in the manifest and in any case of
   * the key, including repetitions.
   */
  digests: Digest[];
  /** The same for the subject, which may be missing from the repository. */
  subjects: Digest[];
  /** Whether some client could read it as Docker's schema 1. */
  isSchema1: boolean;
  /** Why it is refused as an image or an index: clients would read it differently. */
  fault: string | undefined;
};

const topFields = [
  "schemaVersion",
  "mediaType",
  "artifactType",
  "config",
  "layers",
  "manifests",
  "subject",
  "annotations",
  "fsLayers",
  "blobs",
] as const;
const descriptorFields = [
  "mediaType",
  "digest",
  "size",
  "urls",
  "annotations",
  "data",
  "artifactType",
  "platform",
] as const;
const platformFields = ["os", "architecture", "variant", "os.version", "os.features"] as const;

const names = [...new Set<string>([...topFields, ...descriptorFields, ...platformFields, "blobSum"])];
const fieldNames = new FieldNames(names);
const numberOf = (name: string) => names.indexOf(name) + 1;
/** Fields as bits. */
const bitsOf = (...fields: readonly string[]) =>
  fields.reduce((bits, name) => bits | (1 << numberOf(name)), 0);

const schemaVersion = numberOf("schemaVersion");
const fsLayers = numberOf("fsLayers");
const subject = numberOf("subject");
const size = numberOf("size");
const platform = numberOf("platform");
const [descriptors, lists] = [bitsOf("config", "subject"), bitsOf("layers", "manifests")];
const digestKeys = bitsOf("digest", "blobSum");

/** The role of a container in a manifest. At most one container of each role but `other` is open at a time. */
const role = { other: 0, top: 1, list: 2, descriptor: 3, platform: 4 } as const;
type Role = (typeof role)[keyof typeof role];

/** The known fields of a container of each role. */
const fieldsOf = [0, bitsOf(...topFields), 0, bitsOf(...descriptorFields), bitsOf(...platformFields)];

/**
 * Reads the source of a manifest, which need not be valid JSON.
 *
 * @param isBounded whether {@link maxReferences} and {@link maxDepth} apply. Stored manifests are read to their end,
 *   whatever their size.
 * @throws InvalidManifest if a limit is exceeded.
 */
export function readSource(text: string, isBounded: boolean): ManifestSource {
  const reader = new SourceReader(text, isBounded);
  walkJson(text, reader);
  return reader.source();
}

class SourceReader implements JsonVisitor {
  readonly #text: string;
  readonly #isBounded: boolean;
  readonly #digests: Digest[] = [];
  readonly #subjects: Digest[] = [];
  #isVersion1 = false;
  #hasFsLayers = false;
  #fault: string | undefined;

  /** The current container, and the field whose value comes next. */
  #role: Role = role.other;
  #field = 0;
  /** Whether the container, and its next value, are under a key for digests. */
  #isNamed = false;
  #isNextNamed = false;
  /** The containers around the current one, each as one number, as there may be two million. */
  readonly #around: number[] = [];
  /** The fields that were read of the open container of each role, as bits. */
  readonly #seen = [0, 0, 0, 0, 0];
  /** The current field of the top level, and the position of the current descriptor in it. */
  #topField = 0;
  #position = -1;

  constructor(text: string, isBounded: boolean) {
    this.#text = text;
    this.#isBounded = isBounded;
  }

  source(): ManifestSource {
    return {
      digests: this.#digests,
      subjects: this.#subjects,
      isSchema1: this.#isVersion1 && this.#hasFsLayers,
      fault: this.#fault,
    };
  }

  open(isObject: boolean): void {
    const opened = this.#roleOf(isObject);
    const flags = (this.#isNamed ? 1 : 0) | (this.#isNextNamed ? 2 : 0);
    this.#around.push(flags | (this.#role << 2) | (this.#field << 5));
    if (this.#isBounded && this.#around.length > maxDepth) {
      throw new InvalidManifest(`it is nested deeper than ${maxDepth} objects and arrays`);
    }
    this.#role = opened;
    this.#field = 0;
    this.#isNamed = this.#isNextNamed;
    this.#seen[opened] = 0;
    if (opened === role.descriptor) this.#position++;
  }

  close(): void {
    const outer = this.#around.pop() ?? 0;
    this.#isNamed = (outer & 1) !== 0;
    this.#isNextNamed = (outer & 2) !== 0;
    this.#role = ((outer >> 2) & 7) as Role;
    this.#field = outer >> 5;
  }

  key(start: number, end: number): void {
    const found = fieldNames.find(this.#text, start, end);
    const bit = 1 << Math.abs(found);
    this.#isNextNamed = this.#isNamed || (digestKeys & bit) !== 0;
    const isField = ((fieldsOf[this.#role] ?? 0) & bit) !== 0;
    this.#field = isField ? Math.abs(found) : 0;
    if (!isField) return;
    if (this.#role === role.top) {
      this.#topField = this.#field;
      this.#position = -1;
      if (this.#field === fsLayers) this.#hasFsLayers = true;
    }
    const seen = this.#seen[this.#role] ?? 0;
    if (found < 0 || (seen & bit) !== 0) this.#noteAmbiguity(start, end);
    this.#seen[this.#role] = seen | bit;
  }

  string(start: number, end: number): void {
    if (!this.#isNextNamed) return;
    const digest = digestAt(this.#text, start, end);
    if (digest === undefined) return;
    const isOfSubject = this.#role === role.descriptor && this.#topField === subject;
    (isOfSubject ? this.#subjects : this.#digests).push(digest);
    // A manifest has one subject. If it has several, all but one count as references.
    const count = this.#digests.length + Math.max(0, this.#subjects.length - 1);
    if (this.#isBounded && count > maxReferences) throw tooManyReferences();
  }

  scalar(start: number, end: number): void {
    if (this.#role === role.top && this.#field === schemaVersion) {
      const source = this.#text.slice(start, end);
      if (Number(source) === 1) this.#isVersion1 = true;
      if (source !== "2") this.#fault ??= "schemaVersion must be 2";
    }
    if (this.#role === role.descriptor && this.#field === size && !isInt64(this.#text.slice(start, end))) {
      this.#fault ??= `${this.#place()} has no valid size`;
    }
  }

  #roleOf(isObject: boolean): Role {
    if (this.#around.length === 0) return isObject ? role.top : role.other;
    if (this.#role === role.list) return isObject ? role.descriptor : role.other;
    if (this.#role === role.descriptor)
      return isObject && this.#field === platform ? role.platform : role.other;
    const bit = this.#role === role.top ? 1 << this.#field : 0;
    if (isObject) return (descriptors & bit) === 0 ? role.other : role.descriptor;
    return (lists & bit) === 0 ? role.other : role.list;
  }

  /** Records that clients disagree about a key: some read it as a known field, others as another or an unknown one. */
  #noteAmbiguity(start: number, end: number): void {
    if (this.#fault !== undefined) return;
    const name = names[this.#field - 1];
    const source = this.#text.slice(start, end);
    const what =
      source === name ? `the field ${name} twice` : `a field "${source}", which may be read as ${name}`;
    this.#fault = `${this.#place()} has ${what}: clients would read different things`;
  }

  /** The current position in words. */
  #place(): string {
    if (this.#role === role.top) return "the manifest";
    const field = names[this.#topField - 1];
    const descriptor = (lists & (1 << this.#topField)) === 0 ? `${field}` : `${field}[${this.#position}]`;
    return this.#role === role.platform ? `the platform of ${descriptor}` : descriptor;
  }
}

/** The error for a manifest with more than {@link maxReferences}. */
export function tooManyReferences(): InvalidManifest {
  return new InvalidManifest(`it has more than ${maxReferences} references`);
}

/** Bounds of the length of a digest's source. An escaped character takes up to six. */
const [shortestDigest, longestSource] = [64, 6 * 160];

/** The digest in a string whose source is at these positions. */
function digestAt(text: string, start: number, end: number): Digest | undefined {
  if (end - start < shortestDigest || end - start > longestSource) return undefined;
  const source = text.slice(start, end);
  if (!source.includes("\\")) return parseDigest(source);
  try {
    return parseDigest(JSON.parse(`"${source}"`));
  } catch {
    // The string is not valid JSON, and so not a digest.
    return undefined;
  }
}

function isInt64(source: string): boolean {
  if (!/^(?:0|[1-9]\d{0,18})$/.test(source)) return false;
  return source.length < 19 || source <= "9223372036854775807";
}
