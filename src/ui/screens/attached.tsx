/** What is attached to a manifest, as a tree: signatures, SBOMs as lists of packages, provenance in words. */
import { useState } from "preact/hooks";
import { type Answer, contentAddress, readContent } from "../api.ts";
import {
  type Package,
  type Provenance,
  type Reading,
  readAttestation,
  type Signature,
  subjectOf,
} from "../attestations.ts";
import { useAction } from "../data.ts";
import { formatBytes, formatTime } from "../format.ts";
import { messages } from "../language.ts";
import { Ago, Digest, Failed, Kinds } from "../parts/basics.tsx";
import { referencePath } from "../paths.ts";

type Content = Answer<"/repositories/{name}/references/{reference}">["content"];
type Referrer = Content["referrers"][number];
type Layer = Referrer["layers"][number];

/** The largest content that is shown, in bytes. */
const maxShownBytes = 4 * 1024 * 1024;

/** Types of what cannot be read. oras gives files the type of a layer, unless it is told another. */
const binaryTypes = /tar|gzip|zstd|octet-stream/;
const textFiles = /\.(?:txt|md|json|ya?ml|xml|csv|html|log|sarif|toml)$/i;

/** What the name of a content ends with, by its type. */
function extensionOf(type: string): string {
  if (/tar.*gzip/.test(type)) return "tgz";
  return /json|^https?:/.test(type) ? "json" : "bin";
}

/** The tree. */
export function Attached({ name, referrers }: { name: string; referrers: readonly Referrer[] }) {
  const words = messages().manifest;
  if (referrers.length === 0) return <p class="faint">{words.attachedNone}</p>;
  return (
    <ul class="tree">
      {referrers
        .toSorted((one, other) => placeOf(one) - placeOf(other))
        .map((referrer) => (
          <Node key={`${referrer.digest}${referrer.by}`} name={name} referrer={referrer} />
        ))}
    </ul>
  );
}

/** Signatures come first, and what is of no known kind last. */
function placeOf({ kind = "artifact" }: Referrer): number {
  return ["signature", "sbom", "provenance", "attestation"].indexOf(kind) >>> 0;
}

function Node({ name, referrer }: { name: string; referrer: Referrer }) {
  const words = messages();
  const { digest, kind, artifactType, by, pushedAt, pushedBy, layers, annotations } = referrer;
  // How deep a tree is shown is limited where it is made, so its type ends.
  const below = (referrer.referrers ?? []) as Referrer[];
  return (
    <li>
      <div class="node">
        {kind !== undefined && <Kinds kinds={[kind]} />}
        {kind === "artifact" && <span class="clip">{artifactType}</span>}
        <span class="faint">
          {words.manifest.by[by]} · <Ago time={pushedAt} /> {pushedBy !== undefined && words.by(pushedBy)}
        </span>
        <span class="spring" />
        <Digest digest={digest} href={referencePath(name, digest)} />
      </div>
      {layers.map((layer, index) => (
        <LayerContent key={`${layer.digest}${index}`} name={name} layer={layer} of={annotations} />
      ))}
      {below.length > 0 && <Attached name={name} referrers={below} />}
    </li>
  );
}

/** The content of a layer, read when somebody asks for it. `of`: the annotations of its manifest. */
export function LayerContent(props: { name: string; layer: Layer; of: Record<string, string> }) {
  const { name, layer, of } = props;
  const words = messages();
  const { digest, mediaType, size, annotations } = layer;
  const { run, isBusy, error } = useAction();
  const [reading, setReading] = useState<Reading>();
  const file = annotations["org.opencontainers.image.title"];
  const type =
    annotations["in-toto.io/predicate-type"] ??
    annotations.predicateType ??
    of["dev.sigstore.bundle.predicateType"] ??
    mediaType;
  const subject = subjectOf(type);
  const isShown = !binaryTypes.test(mediaType) || (file !== undefined && textFiles.test(file));
  const title = file ?? (subject && words.attached.subjects[subject]);
  const show = () =>
    run(async () => setReading(readAttestation(await (await readContent(name, digest)).text())));
  return (
    <div class="content">
      <div class="content-line">
        {title !== undefined && <strong>{title}</strong>}
        <span class={title === undefined ? "clip" : "clip faint"}>{type}</span>
        <span class="faint">{formatBytes(size)}</span>
        <a href={contentAddress(name, digest)} download={file ?? `${digest.slice(-12)}.${extensionOf(type)}`}>
          {words.attached.download}
        </a>
        {reading === undefined && isShown && size <= maxShownBytes && (
          <button type="button" class="quiet" disabled={isBusy} onClick={show}>
            {words.attached.show}
          </button>
        )}
        {isShown && size > maxShownBytes && (
          <span class="faint">
            {words.attached.tooLarge(formatBytes(size))} <Digest digest={digest} />
          </span>
        )}
      </div>
      {error !== undefined && <Failed error={error} retry={show} />}
      {reading !== undefined && <Shown reading={reading} />}
    </div>
  );
}

function Shown({ reading }: { reading: Reading }) {
  switch (reading.is) {
    case "sbom":
      return <Packages format={reading.format} packages={reading.packages} />;
    case "provenance":
      return (
        <>
          <InWords provenance={reading.provenance} />
          <Text text={reading.text} isClosed />
        </>
      );
    case "signature":
      return (
        <>
          <SignatureInWords signature={reading.signature} />
          <Text text={reading.text} isClosed />
        </>
      );
    case "statement":
      return (
        <>
          <p>
            {messages().attached.predicate}: <code>{reading.predicateType}</code>
          </p>
          <Text text={reading.text} />
        </>
      );
    case "text":
      return <Text text={reading.text} />;
  }
}

const maxText = 200_000;

function Text({ text, isClosed = false }: { text: string; isClosed?: boolean }) {
  const words = messages().attached;
  if (text.includes("\0")) return <p class="faint">{words.unreadable}</p>;
  const shown = <pre tabIndex={0}>{text.slice(0, maxText)}</pre>;
  if (!isClosed) return shown;
  return (
    <details>
      <summary>{words.raw}</summary>
      {shown}
    </details>
  );
}

const maxPackages = 500;

function Packages({ format, packages }: { format: string; packages: Package[] }) {
  const words = messages().attached;
  const [filter, setFilter] = useState("");
  const wanted = filter.toLowerCase();
  const found = packages.filter(({ name, version, license }) =>
    `${name} ${version} ${license}`.toLowerCase().includes(wanted),
  );
  return (
    <div>
      <div class="filters">
        <label class="select">
          <span>{words.filter}</span>
          <input
            type="search"
            value={filter}
            spellcheck={false}
            onInput={(event) => setFilter(event.currentTarget.value)}
          />
        </label>
        <span class="faint" role="status">
          {words.packages(found.length)} · {format}
        </span>
      </div>
      {found.length === 0 ? (
        <p>{words.none}</p>
      ) : (
        <div class="scroll tall" tabIndex={0}>
          <table class="list dense">
            <thead>
              <tr>
                <th>{words.package}</th>
                <th>{words.version}</th>
                <th>{words.license}</th>
              </tr>
            </thead>
            <tbody>
              {found.slice(0, maxPackages).map(({ name, version, license }, index) => (
                <tr key={`${name}${version}${index}`}>
                  <td class="main">{name}</td>
                  <td>{version}</td>
                  <td>{license}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
    </div>
  );
}

function InWords({ provenance }: { provenance: Provenance }) {
  const words = messages().attached;
  const { builder, source, started, materials } = provenance;
  const isTime = started !== "" && !Number.isNaN(Date.parse(started));
  return (
    <dl class="pairs">
      {builder !== "" && <Pair name={words.builtBy}>{builder}</Pair>}
      {source !== "" && <Pair name={words.from}>{source}</Pair>}
      {started !== "" && <Pair name={words.at}>{isTime ? formatTime(started) : started}</Pair>}
      {materials.length > 0 && (
        <Pair name={words.materials}>
          {materials.map((material) => (
            <div key={material}>{material}</div>
          ))}
        </Pair>
      )}
    </dl>
  );
}

function SignatureInWords({ signature }: { signature: Signature }) {
  const words = messages().attached;
  const { digest, reference, key } = signature;
  return (
    <>
      <dl class="pairs">
        <Pair name={words.signs}>{digest}</Pair>
        {reference !== "" && <Pair name={words.reference}>{reference}</Pair>}
        {key !== "" && <Pair name={words.key}>{key}</Pair>}
      </dl>
      <p class="faint">{words.unverified}</p>
    </>
  );
}

function Pair({ name, children }: { name: string; children: preact.ComponentChildren }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd>{children}</dd>
    </div>
  );
}
