/** The Helm chart: what it renders is valid, is what was looked at once, and runs the image as the image is made to run. */
import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import test from "node:test";
import { parseAllDocuments } from "yaml";
import { projectDirectory } from "../../scripts/release/places.ts";
import { parseFlags } from "../../src/local/flags.ts";
import { version } from "../../src/version.ts";
import { hasPrograms, run } from "../clients/support/programs.ts";
import { temporaryDirectory } from "../local/program.ts";
import { artefact } from "./support/artefacts.ts";
import { confined, flagsOfPod, type Pod } from "./support/confined.ts";

const chart = join(projectDirectory, "deploy", "chart");
const folder = join(import.meta.dirname, "chart");
const cases = ["minimal", "full"];
/** A helm that was built from its module alone stands for an old one. */
const cluster = ["--kube-version", "v1.34.0"];

const valuesOf = (name: string) => ["--values", join(folder, `${name}.values.yaml`)];

/** What helm renders of a chart; `flags` give the values. */
async function renderChart(of: string, ...flags: string[]): Promise<string> {
  const args = ["template", "images", of, "--namespace", "registry", ...cluster, ...flags];
  return (await run("helm", args)).stdout;
}

const render = (...flags: string[]) => renderChart(chart, ...flags);

/** Validates manifests against the schemas of Kubernetes and of the Prometheus operator; fields must be known. */
async function validate(file: string): Promise<void> {
  const schemas = join(import.meta.dirname, "schemas", "{{.ResourceKind}}{{.KindSuffix}}.json");
  await run("kubeconform", ["-strict", "-schema-location", schemas, file]);
}

for (const name of cases) {
  test(`the chart with ${name} values`, async (t) => {
    if (!hasPrograms(t, "helm", "kubeconform")) return;
    await run("helm", ["lint", "--strict", ...cluster, chart, ...valuesOf(name)]);
    const rendered = await render(...valuesOf(name));
    const expected = join(folder, `${name}.rendered.yaml`);
    // After a change of the chart: UPDATE=yes writes it again, to be looked at.
    if (process.env.UPDATE === "yes") writeFileSync(expected, rendered);
    assert.equal(rendered, readFileSync(expected, "utf8"));
    await validate(expected);
    const args = [...rendered.matchAll(/^ {12}- (?:"(--.*)"|(--.*))$/gm)].map(([, quoted, plain]) =>
      quoted === undefined ? (plain ?? "") : JSON.parse(`"${quoted}"`),
    );
    assert(args.length >= 4);
    const parsed = parseFlags(args, { ADMIN_PASSWORD: "as the secret has it" });
    assert(parsed.ok, JSON.stringify(parsed));
  });
}

test("the pod is confined as the image is in its tests", () => {
  for (const name of cases) {
    const rendered = readFileSync(join(folder, `${name}.rendered.yaml`), "utf8");
    const manifests = parseAllDocuments(rendered).map((document) => document.toJS());
    const pods = manifests.filter(({ kind }) => kind === "StatefulSet").map(({ spec }) => spec.template.spec);
    assert.deepEqual(
      pods.map((pod: Pod) => flagsOfPod(pod)),
      [confined],
      name,
    );
  }
});

test("the packed chart is the chart", async (t) => {
  if (!hasPrograms(t, "helm")) return;
  const packed = artefact(`stowage-chart-${version}.tgz`);
  const rendered = await renderChart(packed, ...valuesOf("full"));
  assert.equal(rendered, readFileSync(join(folder, "full.rendered.yaml"), "utf8"));
});

test("a manifest that Kubernetes would refuse is found", async (t) => {
  if (!hasPrograms(t, "helm", "kubeconform")) return;
  const rendered = await render(...valuesOf("full"));
  const file = join(temporaryDirectory(t), "rendered.yaml");
  for (const [right, wrong] of [
    ["replicas: 1", "replicas: one"],
    ["fsGroupChangePolicy:", "fsGroupPolicy:"],
    ["podSelector:", "podSelectors:"],
    ["interval:", "intervall:"],
  ] as const) {
    assert(rendered.includes(right), right);
    writeFileSync(file, rendered.replace(right, wrong));
    await assert.rejects(validate(file), /is invalid/, wrong);
  }
});

test("values that are wrong are refused with their names", async (t) => {
  if (!hasPrograms(t, "helm")) return;
  for (const [flags, message] of [
    [[], /admin\.existingSecret: name the secret/],
    [["--set", "admins.key=x"], /admins/],
    [["--set", "settings.SPARSE=true"], /settings\.SPARSE|\/settings\/SPARSE/],
    [["--set-string", "settings.ADMIN_PASSWORD=secret"], /ADMIN_PASSWORD/],
    [["--set", "service.port=0"], /port/],
    [["--set", "ingress.enabled=true"], /ingress\.host: name the registry/],
    [["--set", "metrics.serviceMonitor.enabled=true"], /metrics\.existingSecret: name the secret/],
  ] as const) {
    const values = flags.length === 0 ? [] : valuesOf("minimal");
    await assert.rejects(render(...values, ...flags), message);
  }
});

test("every value is described by the schema, and the versions and the user are those of the image", () => {
  const schema = JSON.parse(readFileSync(join(chart, "values.schema.json"), "utf8"));
  const undescribed = (node: Record<string, unknown>, path: string): string[] =>
    Object.entries((node.properties ?? {}) as Record<string, Record<string, unknown>>).flatMap(
      ([name, below]) => [
        ...(below.description === undefined ? [`${path}${name}`] : []),
        ...undescribed(below, `${path}${name}.`),
      ],
    );
  const pod = { ...schema, properties: { ...schema.properties, env: { description: "Kubernetes' own" } } };
  assert.deepEqual(undescribed(pod, ""), []);
  const file = (...path: string[]) => readFileSync(join(projectDirectory, ...path), "utf8");
  assert.match(
    file("deploy", "chart", "Chart.yaml"),
    new RegExp(`^version: ${version}\nappVersion: "${version}"$`, "m"),
  );
  const dockerfile = file("Dockerfile");
  assert.match(dockerfile, new RegExp(`^ARG VERSION=${version}$`, "m"));
  assert.match(dockerfile, /^USER 65532:65532$/m);
  assert.match(
    file("deploy", "chart", "templates", "statefulset.yaml"),
    /runAsUser: 65532\n +runAsGroup: 65532\n/,
  );
});
