/**
 * Reads what is attached to images: SBOMs, provenance and signatures. SPDX and CycloneDX in JSON, statements of in-toto by
 * themselves or in an envelope, and what cosign signs.
 *
 * Sources: SPDX 2.3; CycloneDX 1.6; in-toto Attestation Framework, "Statement"; DSSE; SLSA, "Provenance" 0.2 and 1;
 * cosign, "Signature Specification"; sigstore, "Bundle format".
 */

/** What a type says about the content: a media type, or the type of a statement's predicate. */
const subjects = [
  ["spdx", /spdx/i],
  ["cyclonedx", /cyclonedx/i],
  ["provenance", /slsa\.dev\/provenance/],
  ["signature", /\/cosign\/sign\/|cosign\.simplesigning|notary\.signature/],
] as const;

/** One of {@link subjects}. */
export type Subject = (typeof subjects)[number][0];

/** What a content of a type is about; `undefined` if the type does not say it. */
export function subjectOf(type: string): Subject | undefined {
  return subjects.find(([, pattern]) => pattern.test(type))?.[0];
}

/** A package that an SBOM lists. */
export type Package = { name: string; version: string; license: string };

/** What a provenance says, in words. */
export type Provenance = { builder: string; source: string; started: string; materials: string[] };

/** What a signature says: what was signed, and by what. It is not verified here. */
export type Signature = { digest: string; reference: string; key: string };

/** What a content is. */
export type Reading =
  | { is: "sbom"; format: string; packages: Package[] }
  | { is: "provenance"; provenance: Provenance; text: string }
  | { is: "signature"; signature: Signature; text: string }
  | { is: "statement"; predicateType: string; text: string }
  | { is: "text"; text: string };

type Json = { [key: string]: unknown };

/** Reads a content. What is of none of the formats is text. */
export function readAttestation(text: string): Reading {
  const json = parse(text);
  if (json === undefined) return { is: "text", text };
  return read(json) ?? { is: "text", text: JSON.stringify(json, null, 2) };
}

function read(json: Json): Reading | undefined {
  if (typeof json.spdxVersion === "string") return spdx(json);
  if (json.bomFormat === "CycloneDX") return cycloneDx(json);
  const payload = payloadOf(json);
  if (payload !== undefined) return readPayload(json, payload);
  if (typeof json.critical === "object") return simpleSigning(json);
  if (typeof json.predicateType !== "string") return undefined;
  const predicate = isObject(json.predicate) ? json.predicate : {};
  if (/spdx|cyclonedx/i.test(json.predicateType)) {
    // cosign wraps some SBOMs once more.
    return read(isObject(predicate.Data) ? predicate.Data : predicate);
  }
  const shown = JSON.stringify(predicate, null, 2);
  if (subjectOf(json.predicateType) === "signature") {
    const [subject = {}] = objectsIn(json.subject);
    const digest = textOf(objectAt(subject, "digest").sha256);
    return {
      is: "signature",
      signature: { digest: `sha256:${digest}`, reference: "", key: "" },
      text: shown,
    };
  }
  if (subjectOf(json.predicateType) === "provenance") {
    return { is: "provenance", provenance: provenanceOf(predicate), text: shown };
  }
  return { is: "statement", predicateType: json.predicateType, text: shown };
}

/** What is in an envelope; of a signature, with what the envelope says of its key. */
function readPayload(envelope: Json, payload: Json): Reading {
  const reading = read(payload) ?? { is: "text", text: JSON.stringify(payload, null, 2) };
  if (reading.is !== "signature") return reading;
  const { hint } = objectAt(objectAt(envelope, "verificationMaterial"), "publicKey");
  return { ...reading, signature: { ...reading.signature, key: textOf(hint) } };
}

/** The claim that earlier releases of cosign sign. */
function simpleSigning(json: Json): Reading {
  const critical = objectAt(json, "critical");
  const digest = textOf(objectAt(critical, "image")["docker-manifest-digest"]);
  const reference = textOf(objectAt(critical, "identity")["docker-reference"]);
  return { is: "signature", signature: { digest, reference, key: "" }, text: JSON.stringify(json, null, 2) };
}

/** What an envelope of DSSE, or a bundle of sigstore, carries. */
function payloadOf(json: Json): Json | undefined {
  const envelope = isObject(json.dsseEnvelope) ? json.dsseEnvelope : json;
  if (typeof envelope.payload !== "string") return undefined;
  try {
    const bytes = Uint8Array.from(atob(envelope.payload), (character) => character.charCodeAt(0));
    return parse(new TextDecoder().decode(bytes));
  } catch {
    return undefined;
  }
}

function spdx({ packages, spdxVersion }: Json): Reading {
  return {
    is: "sbom",
    format: String(spdxVersion),
    packages: objectsIn(packages).map((each) => ({
      name: textOf(each.name),
      version: textOf(each.versionInfo),
      license:
        [each.licenseConcluded, each.licenseDeclared]
          .map(textOf)
          .find((one) => one !== "" && one !== "NOASSERTION") ?? "",
    })),
  };
}

function cycloneDx({ components, specVersion }: Json): Reading {
  return {
    is: "sbom",
    format: `CycloneDX ${textOf(specVersion)}`,
    packages: objectsIn(components).map((each) => ({
      name: [textOf(each.group), textOf(each.name)].filter(Boolean).join("/"),
      version: textOf(each.version),
      license: objectsIn(each.licenses)
        .map(({ license, expression }) =>
          isObject(license) ? textOf(license.id) || textOf(license.name) : textOf(expression),
        )
        .join(", "),
    })),
  };
}

function provenanceOf(predicate: Json): Provenance {
  const definition = objectAt(predicate, "buildDefinition");
  const details = objectAt(predicate, "runDetails");
  const builder = objectAt(details, "builder").id ?? objectAt(predicate, "builder").id;
  const metadata = { ...objectAt(predicate, "metadata"), ...objectAt(details, "metadata") };
  const invocation = objectAt(objectAt(predicate, "invocation"), "configSource");
  const source = objectAt(objectAt(definition, "externalParameters"), "configSource");
  const materials = [...objectsIn(predicate.materials), ...objectsIn(definition.resolvedDependencies)];
  return {
    builder: textOf(builder),
    source: textOf(invocation.uri) || textOf(source.uri) || textOf(source.path),
    started: textOf(metadata.buildStartedOn) || textOf(metadata.startedOn),
    materials: materials.map(({ uri }) => textOf(uri)).filter(Boolean),
  };
}

function objectAt(json: Json, key: string): Json {
  const value = json[key];
  return isObject(value) ? value : {};
}

function objectsIn(value: unknown): Json[] {
  return Array.isArray(value) ? value.filter(isObject) : [];
}

function textOf(value: unknown): string {
  return typeof value === "string" ? value : "";
}

function isObject(value: unknown): value is Json {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function parse(text: string): Json | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return isObject(value) ? value : undefined;
  } catch {
    return undefined;
  }
}
