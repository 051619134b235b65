/** Content that real clients push: docker, BuildKit, cosign, helm and oras. */
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { buildkitPrograms, startBuildkit } from "../../clients/support/buildkit.ts";
import type { ClosedServer } from "../../clients/support/closed-server.ts";
import { Content } from "../../clients/support/content.ts";
import { type Docker, dockerPrograms, startDocker } from "../../clients/support/docker.ts";
import { hasPrograms, type Output, run } from "../../clients/support/programs.ts";
import { temporaryDirectory } from "../../local/program.ts";

/** What a test with them needs. */
export const clientPrograms = [...dockerPrograms, ...buildkitPrograms, "cosign", "crane", "helm", "oras"];

/** The clients, logged in as somebody who may do everything, and what they pushed. */
export type Clients = {
  docker: Docker;
  /** Builds and pushes the image `team/api` with this in it. */
  pushApi: (content: string, ...tags: string[]) => Promise<void>;
  oras: (...args: string[]) => Promise<Output>;
  /** Verifies the signature of an image by its digest. */
  verify: (image: string) => Promise<Output>;
  /** The digest of the index `team/web:v2.3.0`. */
  web: string;
  /** The bytes of the file that the artifact `models/intent:2026-11` has. */
  labels: string;
};

/** Starts the clients, and has each push what teams push with it. `undefined`: one is missing, and the test is skipped. */
export async function startClients(t: TestContext, server: ClosedServer): Promise<Clients | undefined> {
  if (!hasPrograms(t, ...clientPrograms)) return undefined;
  const { name, password } = await server.robot("builder", [
    { repository: "**", verbs: ["pull", "push", "delete"] },
  ]);
  const directory = temporaryDirectory(t);
  const { host } = server;
  const auth = Buffer.from(`${name}:${password}`).toString("base64");
  await writeFile(join(directory, "config.json"), JSON.stringify({ auths: { [host]: { auth } } }));
  const env = {
    COSIGN_PASSWORD: "a password of the key",
    COSIGN_YES: "true",
    DOCKER_CONFIG: directory,
    // cosign and helm would keep files below the home directory.
    HOME: directory,
    ...Object.fromEntries(
      ["CACHE", "CONFIG", "DATA"].map((kind) => [`HELM_${kind}_HOME`, join(directory, kind.toLowerCase())]),
    ),
  };
  const inDirectory = (program: string, args: string[]) =>
    run("env", ["-C", directory, program, ...args], { env });
  const oras = (...args: string[]) => inDirectory("oras", [...args, "--plain-http"]);
  const docker = await startDocker(t);
  await docker(["login", "--username", name, "--password-stdin", host], { input: password });
  const pushApi = async (content: string, ...tags: string[]) => {
    const context = await writeContext(directory, dockerfile, content);
    const image = `${host}/team/api`;
    await docker(["build", "--quiet", "--tag", `${image}:${tags[0]}`, context]);
    for (const tag of tags) {
      await docker(["tag", `${image}:${tags[0]}`, `${image}:${tag}`]);
      await docker(["push", "--quiet", `${image}:${tag}`]);
    }
  };
  await pushApi("one", "v1.0.0");
  await pushApi("two", "v1.1.0", "v1.1", "latest");
  const web = await pushWeb(t, directory, host, env);
  const verify = await sign(inDirectory, directory, `${host}/team/web@${web}`);
  await pushCharts(inDirectory, directory, host, { name, password });
  const labels = await pushArtifact(oras, directory, host, `${host}/team/web:v2.3.0`);
  return { docker, pushApi, oras, verify, web, labels };
}

type Run = (program: string, args: string[]) => Promise<Output>;

const dockerfile = `FROM scratch
LABEL org.opencontainers.image.source=https://git.example.org/team/api
ENV LOG_LEVEL=info API_PORT=8080
WORKDIR /srv
COPY runtime /srv/runtime
COPY program /srv/program
EXPOSE 8080
USER 1000:1000
ENTRYPOINT ["/srv/program"]
CMD ["--listen", ":8080"]
`;

const webDockerfile = `FROM scratch
ARG TARGETPLATFORM
ENV WEB_ROOT=/srv/web
WORKDIR /srv/web
COPY runtime ./runtime
COPY program ./program
EXPOSE 8443
ENTRYPOINT ["/srv/web/program"]
`;

let contexts = 0;

async function writeContext(directory: string, file: string, content: string): Promise<string> {
  const context = join(directory, `context-${contexts++}`);
  await mkdir(context);
  await writeFile(join(context, "Dockerfile"), file);
  await writeFile(join(context, "runtime"), new Content("the runtime", 3_400_000).pieces());
  await writeFile(join(context, "program"), new Content(content, 870_000).pieces());
  return context;
}

/** Builds and pushes an image for two platforms with its provenance. Returns the digest of the index. */
async function pushWeb(
  t: TestContext,
  directory: string,
  host: string,
  env: Record<string, string>,
): Promise<string> {
  const buildctl = await startBuildkit(t, [host], env);
  for (const version of ["v2.2.0", "v2.3.0"]) {
    const context = await writeContext(directory, webDockerfile, `web ${version}`);
    const local = ["--local", `context=${context}`, "--local", `dockerfile=${context}`];
    const options = ["platform=linux/amd64,linux/arm64", "attest:provenance=mode=max"];
    const flags = options.flatMap((option) => ["--opt", option]);
    const output = ["--output", `type=image,name=${host}/team/web:${version},push=true,oci-mediatypes=true`];
    await buildctl("build", "--frontend", "dockerfile.v0", ...local, ...flags, ...output);
  }
  const { stdout } = await run("crane", ["digest", `${host}/team/web:v2.3.0`], { env });
  return stdout.trim();
}

/** An SBOM in SPDX, as scanners write it. */
const spdx = {
  spdxVersion: "SPDX-2.3",
  dataLicense: "CC0-1.0",
  SPDXID: "SPDXRef-DOCUMENT",
  name: "team/web",
  creationInfo: { created: "2026-11-20T08:10:02Z", creators: ["Tool: syft-1.31.0"] },
  packages: [
    "alpine-baselayout 3.6.8-r1 GPL-2.0-only",
    "busybox 1.37.0-r12 GPL-2.0-only",
    "ca-certificates 20250911-r0 MPL-2.0",
    "express 5.1.0 MIT",
    "libcrypto3 3.5.1-r0 Apache-2.0",
    "libssl3 3.5.1-r0 Apache-2.0",
    "musl 1.2.5-r10 MIT",
    "nodejs 24.11.0-r0 MIT",
    "pino 9.5.0 MIT",
    "zlib 1.3.1-r2 Zlib",
  ].map((line, index) => {
    const [name, versionInfo, licenseDeclared] = line.split(" ");
    return {
      SPDXID: `SPDXRef-${index}`,
      name,
      versionInfo,
      licenseDeclared,
      downloadLocation: "NOASSERTION",
    };
  }),
};

/** Signs an image in both ways that cosign has had, and attests an SBOM. Returns what verifies it. */
async function sign(run: Run, directory: string, image: string): Promise<Clients["verify"]> {
  const cosign = (...args: string[]) => run("cosign", args);
  await cosign("generate-key-pair", "--output-key-prefix", "key");
  const key = ["--key", "key.key", "--use-signing-config=false", "--tlog-upload=false"];
  await cosign("sign", ...key, image);
  await cosign("sign", ...key, "--new-bundle-format=false", image);
  await writeFile(join(directory, "sbom.spdx.json"), JSON.stringify(spdx));
  await cosign("attest", ...key, "--predicate", "sbom.spdx.json", "--type", "spdxjson", image);
  return (signed) => cosign("verify", "--key", "key.pub", "--insecure-ignore-tlog=true", signed);
}

const chartFile = (version: string) => `apiVersion: v2
name: web
description: The shop's pages, with everything that they need in a cluster
type: application
version: ${version}
appVersion: v2.3.0
kubeVersion: ">=1.31.0-0"
home: https://shop.example.org
sources: [https://git.example.org/team/web]
keywords: [shop, web]
maintainers: [{ name: Anna Example, email: anna@example.org }]
`;

const readme = `# web

Installs the **shop's pages**.

| Value | Means | Default |
| --- | --- | --- |
| \`replicaCount\` | how many pods run | \`1\` |
| \`ingress.host\` | the name of the shop | none |

## Upgrading

\`\`\`console
$ helm upgrade web oci://registry.example.org/charts/web
\`\`\`
`;

async function pushCharts(
  run: Run,
  directory: string,
  host: string,
  { name, password }: { name: string; password: string },
): Promise<void> {
  const helm = (...args: string[]) => run("helm", args);
  await helm("registry", "login", host, "--plain-http", "-u", name, "-p", password);
  await helm("create", "web");
  await writeFile(join(directory, "web", "README.md"), readme);
  for (const version of ["1.4.0", "1.5.0+build.7"]) {
    await writeFile(join(directory, "web", "Chart.yaml"), chartFile(version));
    await helm("package", "web");
    await helm("push", `web-${version}.tgz`, `oci://${host}/charts`, "--plain-http");
  }
}

/** Pushes an artifact of two files, and attaches a report and an SBOM to an image. Returns what is in one of the files. */
async function pushArtifact(
  oras: Clients["oras"],
  directory: string,
  host: string,
  image: string,
): Promise<string> {
  const labels = JSON.stringify(["order", "refund", "complaint"]);
  await writeFile(join(directory, "weights.safetensors"), new Content("weights", 2_600_000).pieces());
  await writeFile(join(directory, "labels.json"), labels);
  const model = ["--artifact-type", "application/vnd.example.model.v1"];
  const notes = ["--annotation", "org.opencontainers.image.description=Sorts what customers write"];
  const files = ["weights.safetensors", "labels.json:application/json"];
  await oras("push", `${host}/models/intent:2026-11`, ...model, ...notes, ...files);
  const components = ["react", "preact", "express"].map((each, index) => {
    return {
      type: "library",
      name: each,
      version: `${index + 1}.0.0`,
      licenses: [{ license: { id: "MIT" } }],
    };
  });
  const cycloneDx = { bomFormat: "CycloneDX", specVersion: "1.6", version: 1, components };
  await writeFile(join(directory, "sbom.cdx.json"), JSON.stringify(cycloneDx));
  const sbom = ["--artifact-type", "application/vnd.cyclonedx+json"];
  await oras("attach", image, ...sbom, "sbom.cdx.json:application/vnd.cyclonedx+json");
  await writeFile(join(directory, "tests.txt"), "412 tests passed\n");
  await oras("attach", image, "--artifact-type", "application/vnd.example.report", "tests.txt:text/plain");
  return labels;
}
