/** A Helm chart: what it says of itself, and the texts in its archive. Source: Helm, "Charts", "The Chart.yaml File". */
import { useState } from "preact/hooks";
import { type Answer, readContent } from "../api.ts";
import { readArchive } from "../archive.ts";
import { useAction, useData } from "../data.ts";
import { messages } from "../language.ts";
import { Failed } from "../parts/basics.tsx";
import { Markdown } from "../parts/markdown.tsx";
import { Pairs } from "../parts/pairs.tsx";

type Content = Answer<"/repositories/{name}/references/{reference}">["content"];

/** The largest archive that is read, in bytes. */
const maxArchiveBytes = 4 * 1024 * 1024;

/** The chart of a manifest. */
export function Chart({ name, content }: { name: string; content: Content }) {
  const config = configDigest(content.text);
  const read = async (signal: AbortSignal): Promise<unknown> =>
    config === undefined ? {} : JSON.parse(await (await readContent(name, config, signal)).text());
  const { data, error, reload } = useData(`chart ${config}`, read);
  const archive = content.layers.find(({ mediaType }) => mediaType?.includes("chart.content"));
  return (
    <>
      {error !== undefined && <Failed error={error} retry={reload} />}
      <Metadata chart={isObject(data) ? data : {}} />
      {archive?.digest !== undefined && archive.size <= maxArchiveBytes && (
        <Texts name={name} digest={archive.digest} />
      )}
    </>
  );
}

function configDigest(manifest: string | undefined): string | undefined {
  try {
    const { config } = JSON.parse(manifest ?? "{}");
    return typeof config?.digest === "string" ? config.digest : undefined;
  } catch {
    return undefined;
  }
}

function Metadata({ chart }: { chart: Json }) {
  const words = messages().chart;
  const pairs: [string, string][] = [
    [words.description, textOf(chart.description)],
    [words.name, textOf(chart.name)],
    [words.version, textOf(chart.version)],
    [words.appVersion, textOf(chart.appVersion)],
    [words.type, textOf(chart.type)],
    [words.kubeVersion, textOf(chart.kubeVersion)],
    [words.dependencies, listOf(chart.dependencies, ["name", "version", "repository"])],
    [words.maintainers, listOf(chart.maintainers, ["name", "email", "url"])],
    [words.keywords, listOf(chart.keywords, []).replaceAll("\n", ", ")],
    [words.home, textOf(chart.home)],
    [words.sources, listOf(chart.sources, [])],
    [words.deprecated, chart.deprecated === true ? words.yes : ""],
  ];
  return <Pairs title={words.title} pairs={pairs.filter(([, value]) => value !== "")} />;
}

/** The README and the values of a chart, which are in its archive. */
function Texts({ name, digest }: { name: string; digest: string }) {
  const words = messages().chart;
  const { run, isBusy, error } = useAction();
  const [files, setFiles] = useState<Map<string, string>>();
  const show = () => run(async () => setFiles(await readArchive(await readContent(name, digest))));
  if (files === undefined) {
    return (
      <section>
        {error !== undefined && <Failed error={error} retry={show} />}
        <div>
          <button type="button" disabled={isBusy} onClick={show}>
            {words.show}
          </button>
        </div>
      </section>
    );
  }
  const readme = files.get("README.md");
  const values = files.get("values.yaml");
  return (
    <>
      <section>
        <h2>{words.readme}</h2>
        {readme === undefined ? <p class="faint">{words.noReadme}</p> : <Readme text={readme} />}
      </section>
      {values !== undefined && (
        <details class="card" open={readme === undefined}>
          <summary>values.yaml</summary>
          <pre tabIndex={0}>{values}</pre>
        </details>
      )}
    </>
  );
}

function Readme({ text }: { text: string }) {
  return (
    <div class="card">
      <Markdown text={text} />
    </div>
  );
}

type Json = { [key: string]: unknown };

function isObject(value: unknown): value is Json {
  return typeof value === "object" && value !== null;
}

function textOf(value: unknown): string {
  return typeof value === "string" ? value : "";
}

/** A list as lines: of texts, or of objects by some of their fields. */
function listOf(value: unknown, fields: string[]): string {
  if (!Array.isArray(value)) return "";
  const lines = value.map((each) =>
    isObject(each)
      ? fields
          .map((field) => textOf(each[field]))
          .filter(Boolean)
          .join(" ")
      : textOf(each),
  );
  return lines.filter(Boolean).join("\n");
}
