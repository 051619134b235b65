/**
 * What the source text of a manifest says to any client: every digest that one of them could read in it, and where two
 * of them could read different things. `JSON.parse` shows one reading alone.
 */

import { FieldNames, type JsonVisitor, walkJson } from "./json.ts";
import { type Digest, parseDigest } from "./reference.ts";

/** The most digests that a manifest may name, each counted as often as it is named. Its subject is not among them. */
export const maxReferences = 20_000;

/** How deep objects and arrays may be nested in a manifest: deeper ones Go's `encoding/json` does not read. */
export const maxDepth = 10_000;

/** What is wrong with a manifest, in words for its author. */
export class InvalidManifest extends Error {}

/** What was found in the source of a manifest. */
export type ManifestSource = {
  /**
   * What stands under a key `digest` or `blobSum`, of algorithms that the registry has: wherever that is, in whatever
   * case, and each as often as it is there.
   */
  digests: Digest[];
  /** The same of the subject, which a repository need not have. */
  subjects: Digest[];
  /** Whether it says in any way that it is of Docker's schema 1. */
  isSchema1: boolean;
  /** Why an image or an index must not be like that: clients would read different things in it. */
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

/** What a container in a manifest is. Of each but `other`, one at a time is open. */
const role = { other: 0, top: 1, list: 2, descriptor: 3, platform: 4 } as const;
type Role = (typeof role)[keyof typeof role];

/** The fields that a container of each role is known to have. */
const fieldsOf = [0, bitsOf(...topFields), 0, bitsOf(...descriptorFields), bitsOf(...platformFields)];

/**
 * Reads the source of a manifest, which may turn out to be no JSON.
 *
 * @param isBounded whether there may be no more than {@link maxReferences} and {@link maxDepth}. What is stored is read
 *   to its end, whatever that is.
 * @throws InvalidManifest where there is more.
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

  /** The container that the walk is in, and which of its fields comes next. */
  #role: Role = role.other;
  #field = 0;
  /** Whether it, and what comes next in it, stands under a key that names digests. */
  #isNamed = false;
  #isNextNamed = false;
  /** Those around it, each as one number: there may be two million. */
  readonly #around: number[] = [];
  /** The fields that the open container of each role has so far, as bits. */
  readonly #seen = [0, 0, 0, 0, 0];
  /** The field of the top that the walk is in, and which of its descriptors. */
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
    // A manifest has one subject. Where it has more, all but one are references like others.
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

  /** Notes that some clients read a key as a known field, and others as another field or as an unknown one. */
  #noteAmbiguity(start: number, end: number): void {
    if (this.#fault !== undefined) return;
    const name = names[this.#field - 1];
    const source = this.#text.slice(start, end);
    const what =
      source === name ? `the field ${name} twice` : `a field "${source}", which may be read as ${name}`;
    this.#fault = `${this.#place()} has ${what}: clients would read different things`;
  }

  /** Where the walk is, in words. */
  #place(): string {
    if (this.#role === role.top) return "the manifest";
    const field = names[this.#topField - 1];
    const descriptor = (lists & (1 << this.#topField)) === 0 ? `${field}` : `${field}[${this.#position}]`;
    return this.#role === role.platform ? `the platform of ${descriptor}` : descriptor;
  }
}

/** What a manifest with more than {@link maxReferences} is refused with. */
export function tooManyReferences(): InvalidManifest {
  return new InvalidManifest(`it has more than ${maxReferences} references`);
}

/** No digest of the registry's algorithms is shorter; and no way to write one is longer than six for one. */
const [shortestDigest, longestSource] = [64, 6 * 160];

/** The digest that a string is, the source of which lies here. */
function digestAt(text: string, start: number, end: number): Digest | undefined {
  if (end - start < shortestDigest || end - start > longestSource) return undefined;
  const source = text.slice(start, end);
  if (!source.includes("\\")) return parseDigest(source);
  try {
    return parseDigest(JSON.parse(`"${source}"`));
  } catch {
    // Not a valid JSON string, and so not a digest.
    return undefined;
  }
}

function isInt64(source: string): boolean {
  if (!/^(?:0|[1-9]\d{0,18})$/.test(source)) return false;
  return source.length < 19 || source <= "9223372036854775807";
}
