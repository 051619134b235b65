/**
 * Makes the schemas that the chart's manifests are validated against, in the form that kubeconform reads, of
 *
 * - Kubernetes' OpenAPI document, such as testdata/openapi/swagger.json of the Go module k8s.io/kubectl
 * - the Prometheus operator's definition of ServiceMonitor, jsonnet/prometheus-operator/servicemonitors-crd.json of its
 *   Go module
 *
 * node test/shipped/schemas/make.ts SWAGGER SERVICEMONITORS
 */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

type Schema = { [field: string]: unknown };

/** The kinds that the chart has, with the names that kubeconform looks for. */
const kinds = {
  "io.k8s.api.apps.v1.StatefulSet": "statefulset-apps-v1",
  "io.k8s.api.core.v1.PersistentVolumeClaim": "persistentvolumeclaim-v1",
  "io.k8s.api.core.v1.Service": "service-v1",
  "io.k8s.api.networking.v1.Ingress": "ingress-networking-v1",
  "io.k8s.api.networking.v1.NetworkPolicy": "networkpolicy-networking-v1",
};
const definitionsFile = "definitions.json";

/** Texts in the document that may be numbers as well. */
const numbersToo = new Set([
  "io.k8s.apimachinery.pkg.util.intstr.IntOrString",
  "io.k8s.apimachinery.pkg.api.resource.Quantity",
]);

function isSchema(value: unknown): value is Schema {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** A schema without what only people read, in which no field is allowed that it does not name. */
function strict(schema: unknown, refTo: (reference: string) => string): unknown {
  if (Array.isArray(schema)) return schema.map((each) => strict(each, refTo));
  if (!isSchema(schema)) return schema;
  const kept = Object.entries(schema).filter(
    ([name, value]) => !(name.startsWith("x-") || (name === "description" && typeof value === "string")),
  );
  const made: Schema = Object.fromEntries(
    kept.map(([name, value]) => [
      name,
      name === "$ref" && typeof value === "string" ? refTo(value) : strict(value, refTo),
    ]),
  );
  if (isSchema(made.properties) && made.additionalProperties === undefined) made.additionalProperties = false;
  if (schema["x-kubernetes-int-or-string"] === true) {
    delete made.anyOf;
    made.type = ["string", "integer"];
  }
  return made;
}

const [swaggerFile = "", monitorsFile = ""] = process.argv.slice(2);
const { definitions }: { definitions: Record<string, Schema> } = JSON.parse(
  readFileSync(swaggerFile, "utf8"),
);
const found: Record<string, unknown> = {};

/** Takes over a definition, and those that it refers to. */
function take(name: string): string {
  if (!Object.hasOwn(found, name)) {
    found[name] = undefined;
    found[name] = numbersToo.has(name)
      ? { type: ["string", "number"] }
      : strict(definitions[name], (reference) => take(reference.replace("#/definitions/", "")));
  }
  return `${definitionsFile}#/definitions/${name}`;
}

function write(name: string, schema: unknown): void {
  writeFileSync(join(import.meta.dirname, name), `${JSON.stringify(schema)}\n`);
}

for (const [name, file] of Object.entries(kinds)) write(`${file}.json`, { $ref: take(name) });
const within = JSON.stringify({ definitions: found }).replaceAll(`"${definitionsFile}#`, '"#');
write(definitionsFile, JSON.parse(within));

const monitors: { spec: { versions: { name: string; schema: { openAPIV3Schema: Schema } }[] } } = JSON.parse(
  readFileSync(monitorsFile, "utf8"),
);
const [monitor] = monitors.spec.versions.filter(({ name }) => name === "v1");
const monitorSchema = strict(monitor?.schema.openAPIV3Schema, (reference) => reference) as {
  properties: { metadata: Schema };
};
monitorSchema.properties.metadata = { type: "object" };
write("servicemonitor-monitoring-v1.json", monitorSchema);
