/** A tag or manifest: platforms, layers with the commands that made them, configuration, and what is attached. */
import type { ComponentChildren } from "preact";
import { useState } from "preact/hooks";
import { useLocation } from "preact-iso/router";
import { type Answer, send } from "../api.ts";
import { useData } from "../data.ts";
import { formatBytes } from "../format.ts";
import { messages } from "../language.ts";
import { Ago, Copy, Digest, Failed, Kinds, Loading, useTitle } from "../parts/basics.tsx";
import { Crumbs } from "../parts/crumbs.tsx";
import { Pairs } from "../parts/pairs.tsx";
import { Pull } from "../parts/pull.tsx";
import { referencePath, withQuery } from "../paths.ts";
import { Attached, LayerContent } from "./attached.tsx";
import { Chart } from "./chart.tsx";
import { HistoryTab } from "./history.tsx";
import { Layers } from "./layers.tsx";
import { TagRules } from "./rules.tsx";

type Reference = Answer<"/repositories/{name}/references/{reference}">;
type Content = Reference["content"];
type Config = NonNullable<Content["config"]>;

/** The screen. */
export function ReferenceScreen({ name, reference }: { name: string; reference: string }) {
  const { query } = useLocation();
  const { platform = "" } = query;
  const isDigest = reference.includes(":");
  useTitle(`${name}${isDigest ? "@" : ":"}${reference}`);
  const params = { name, reference };
  const { data, error, reload, isLoading } = useData(`reference ${name} ${reference} ${platform}`, (signal) =>
    send("GET", "/repositories/{name}/references/{reference}", { params, query: { platform }, signal }),
  );
  return (
    <>
      <Crumbs name={name} />
      <h1 class={isDigest ? "digest-title" : "name"}>{reference}</h1>
      {!isDigest && error === undefined && (
        <TagRules name={name} tag={reference} mayPush={data?.may.includes("push") === true} />
      )}
      {error !== undefined && <Failed error={error} retry={reload} />}
      {data === undefined && error === undefined && <Loading rows={10} />}
      {data !== undefined && error === undefined && (
        <div class={isLoading ? "stale" : undefined}>
          <Whole name={name} reference={reference} view={data} platform={platform} reload={reload} />
        </div>
      )}
    </>
  );
}

function Whole(props: {
  name: string;
  reference: string;
  view: Reference;
  platform: string;
  reload: () => void;
}) {
  const { name, reference, view, platform, reload } = props;
  const words = messages();
  const { content, image, tag } = view;
  const shown = image ?? content;
  const others = content.tags.filter((each) => each !== tag?.tag);
  const referrers = image === undefined ? content.referrers : [...content.referrers, ...image.referrers];
  return (
    <>
      <dl class="facts">
        <Fact name={words.repositories.kinds}>
          {content.kind !== undefined && <Kinds kinds={[content.kind]} />}
        </Fact>
        <Fact name={words.manifest.size}>
          {content.imageSize === undefined ? "–" : formatBytes(content.imageSize)}
        </Fact>
        <Fact name={words.manifest.created}>
          <Ago time={shown.config?.createdAt ?? content.createdAt} />
        </Fact>
        <Fact name={words.manifest.pushed}>
          <Ago time={content.pushedAt} />
          {content.pushedBy !== undefined && <span class="faint"> {words.by(content.pushedBy)}</span>}
        </Fact>
        <Fact name={words.manifest.used}>
          {content.lastUsed === undefined ? words.repository.never : <Ago time={content.lastUsed} />}
        </Fact>
        <Fact name={words.manifest.digest}>
          <Digest digest={content.digest} /> <Copy text={content.digest} label={words.manifest.digest} />
        </Fact>
      </dl>
      <Links name={name} title={words.manifest.tags} references={others} />
      <Links name={name} title={words.manifest.indexes} references={content.indexes} />
      {content.subject !== undefined && (
        <Links name={name} title={words.manifest.subject} references={[content.subject]} />
      )}
      <Pull name={name} tag={tag?.tag} digest={content.digest} kind={content.kind} />
      {content.children.length > 0 && (
        <Children name={name} reference={reference} content={content} image={image} platform={platform} />
      )}
      {content.kind === "chart" && <Chart name={name} content={content} />}
      {shown.layers.length > 0 &&
        (shown.kind === "image" ? <Layers layers={shown.layers} /> : <Files name={name} content={shown} />)}
      <section>
        <h2>{words.manifest.attached}</h2>
        <Attached name={name} referrers={referrers} />
      </section>
      {shown.config !== undefined && <Configuration config={shown.config} />}
      <Pairs title={words.manifest.annotations} pairs={Object.entries(content.annotations)} />
      {tag !== undefined && view.granted && (
        <TagHistory name={name} tag={tag.tag} mayPush={view.may.includes("push")} changed={reload} />
      )}
      {content.text !== undefined && (
        <details class="card">
          <summary>
            {words.manifest.raw} <span class="faint">{content.mediaType}</span>
          </summary>
          <Copy text={content.text} label={words.manifest.raw} />
          <pre tabIndex={0}>{indented(content.text)}</pre>
        </details>
      )}
    </>
  );
}

/** JSON with line breaks; anything else as it is. */
function indented(text: string): string {
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
}

function Fact({ name, children }: { name: string; children: ComponentChildren }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd>{children}</dd>
    </div>
  );
}

function Links({ name, title, references }: { name: string; title: string; references: readonly string[] }) {
  if (references.length === 0) return null;
  return (
    <p class="links">
      <span class="faint">{title}:</span>{" "}
      {references.slice(0, 20).map((each) =>
        each.includes(":") ? (
          <Digest key={each} digest={each} href={referencePath(name, each)} />
        ) : (
          <a key={each} class="badge alias" href={referencePath(name, each)}>
            {each}
          </a>
        ),
      )}
    </p>
  );
}

/** What an artifact consists of. */
function Files({ name, content }: { name: string; content: Content }) {
  const files = content.layers.flatMap(({ digest, mediaType = "", size, annotations }) =>
    digest === undefined ? [] : [{ digest, mediaType, size, annotations }],
  );
  return (
    <section>
      <h2>{messages().manifest.files}</h2>
      <div class="card files">
        {files.map((layer, index) => (
          <LayerContent key={index} name={name} layer={layer} of={content.annotations} />
        ))}
      </div>
    </section>
  );
}

/** How a tag moved, read when somebody asks for it. */
function TagHistory(props: { name: string; tag: string; mayPush: boolean; changed: () => void }) {
  const [isOpen, setOpen] = useState(false);
  return (
    <details class="card" onToggle={(event) => setOpen(event.currentTarget.open)}>
      <summary>{messages().history.ofTag}</summary>
      {isOpen && <HistoryTab {...props} />}
    </details>
  );
}

/** What an index contains: images by platform, of which one is shown below. Attestations are shown with their image. */
function Children(props: {
  name: string;
  reference: string;
  content: Content;
  image: Content | undefined;
  platform: string;
}) {
  const { name, reference, content, image } = props;
  const words = messages().manifest;
  const { path } = useLocation();
  const children = content.children.filter(
    ({ annotations }) => annotations["vnd.docker.reference.digest"] === undefined,
  );
  return (
    <section>
      <h2>{words.children}</h2>
      <nav class="platforms" aria-label={words.platform}>
        {children.map(({ digest, platform, mediaType, manifest, size }) => {
          const text = platform ?? mediaType;
          const weight = formatBytes(manifest?.imageSize ?? size);
          if (manifest === undefined) {
            return (
              <span key={digest} class="platform-choice missing" title={words.missing}>
                {text}
              </span>
            );
          }
          const href =
            platform === undefined
              ? referencePath(name, digest)
              : withQuery(path || referencePath(name, reference), { platform });
          return (
            <a
              key={digest}
              class="platform-choice"
              href={href}
              aria-current={digest === image?.digest ? "true" : undefined}
            >
              {text} <small>{weight}</small>
            </a>
          );
        })}
      </nav>
    </section>
  );
}

function Configuration({ config }: { config: Config }) {
  const words = messages().manifest;
  const run: [string, string][] = [
    [words.platform, config.platform ?? ""],
    [words.entrypoint, argumentsOf(config.entrypoint)],
    [words.command, argumentsOf(config.command)],
    [words.user, config.user ?? ""],
    [words.workdir, config.workingDirectory ?? ""],
    [words.ports, config.exposedPorts.join(", ")],
    [words.volumes, config.volumes.join(", ")],
    [words.stopSignal, config.stopSignal ?? ""],
    [words.author, config.author ?? ""],
  ];
  const environment = config.env.map((line): [string, string] => {
    const equals = line.indexOf("=");
    return equals < 0 ? [line, ""] : [line.slice(0, equals), line.slice(equals + 1)];
  });
  return (
    <>
      <Pairs title={words.config} pairs={run.filter(([, value]) => value !== "")} />
      <Pairs title={words.env} pairs={environment} />
      <Pairs title={words.labels} pairs={Object.entries(config.labels)} />
    </>
  );
}

function argumentsOf(words: readonly string[]): string {
  return words.map((word) => (/[\s"'\\]/.test(word) ? JSON.stringify(word) : word)).join(" ");
}
