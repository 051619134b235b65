/** `copy`, `push` */
import { stat } from "node:fs/promises";
import { systemFetch } from "../../client/node.ts";
import { type ImageReference, parseImageReference } from "../../client/reference.ts";
import { Transport } from "../../client/transport.ts";
import { parseTag } from "../../oci/reference.ts";
import { version } from "../../version.ts";
import { showFailures } from "../attempts.ts";
import type { Command, Invocation } from "../command.ts";
import { CommandError, UsageError } from "../errors.ts";
import { counted, quote } from "../format.ts";
import { Layers } from "../layers.ts";
import { credentialFor, loginFlags } from "../login.ts";
import { formatBytes } from "../progress.ts";
import { archiveContent, withSpooledArchive } from "../transfer/archive.ts";
import { Copy } from "../transfer/copy.ts";
import type { Destination, Found, Root, Source } from "../transfer/ends.ts";
import { layoutContent, layoutDestination, localSource } from "../transfer/local.ts";
import { remoteDestination, remoteSource } from "../transfer/remote.ts";

const platformFlag = {
  name: "platform",
  value: "OS/ARCH",
  summary: "of an index, the image for this platform alone",
};
const dryRunFlag = { name: "dry-run", summary: "says what would be sent, and sends nothing" };

/** Images from one place to another. */
export const copyCommands: Command[] = [
  {
    name: "copy",
    arguments: ["SOURCE", "DESTINATION"],
    isOfAnyRegistry: true,
    flags: [
      {
        name: "tags",
        value: "PATTERN",
        summary: "all tags of a repository that are like this, such as 'v1.*'",
      },
      platformFlag,
      dryRunFlag,
      ...loginFlags,
    ],
    summary: "copies images between registries and layouts, with what refers to them",
    details:
      "Each of the two is HOST/REPOSITORY[:TAG][@DIGEST], or oci:DIR[:TAG] for an image layout. What is there is not sent; digests stay as they are. --username is for the destination; the source is asked as docker is logged in there.",
    run: async (call) => {
      const [from = "", to = ""] = call.args;
      return await transfer(call, await sourceOf(call, from), to);
    },
  },
  {
    name: "push",
    arguments: ["SOURCE", "DESTINATION"],
    isOfAnyRegistry: true,
    flags: [platformFlag, dryRunFlag, ...loginFlags],
    summary: "pushes an image layout or an archive of docker save, without a daemon",
    details:
      "SOURCE is a directory with an image layout, a tar file, or - for one on stdin. DESTINATION is HOST/REPOSITORY[:TAG]; without a tag, the tags are those of the source. What is there is not sent.",
    run: async (call) => {
      const [from = "", to = ""] = call.args;
      if (from !== "-") return await transfer(call, localSource(await contentOf(from), undefined), to);
      if (call.flags.has("password-stdin")) {
        throw new UsageError("the archive is on stdin: give the password in STOWAGE_PASSWORD");
      }
      return await withSpooledArchive(call.stdin, (content) =>
        transfer(call, localSource(content, undefined), to),
      );
    },
  },
];

async function transfer(call: Invocation, source: Source, to: string): Promise<number> {
  const { flags, output, stderr } = call;
  const isDryRun = flags.has("dry-run");
  const { destination, tag } = await destinationOf(call, to);
  const found = await source.roots();
  const roots = withTag(source, found, tag);
  const layers = new Layers(stderr);
  const copy = new Copy(source, destination, { platform: flags.text("platform"), isDryRun, layers });
  const outcome = await copy.run(roots);
  const failures = { failed: [...found.failed, ...outcome.failed], untried: outcome.untried };
  const { tags, manifests, blobs, mounted, bytes } = copy.report;
  const would = isDryRun ? "would send " : "";
  const parts = [
    `${counted(manifests, "manifest")} and ${counted(blobs, "blob")} (${formatBytes(bytes)})`,
    ...(mounted === 0 ? [] : [`${mounted} of them mounted`]),
    ...(tags.length === 0 ? [] : [`tags ${tags.join(", ")}`]),
  ];
  output.done(`${destination.name}: ${would}${parts.join(", ")}`, {
    destination: destination.name,
    ...copy.report,
    failed: failures.failed,
    untried: failures.untried,
  });
  return showFailures(output, failures);
}

/** The images to copy, each under tags of its own; under a tag that was given, it is one image. */
function withTag(source: Source, { roots, failed }: Found, tag: string | undefined): Root[] {
  if (tag === undefined) {
    for (const each of new Set(roots.flatMap(({ tags }) => tags))) refuseShared(source, roots, each);
    return roots;
  }
  refuseShared(source, roots, tag);
  const named = roots.filter(({ tags }) => tags.includes(tag));
  const [root, ...others] = named.length > 0 ? named : roots;
  const isOnly = others.length === 0 && (named.length > 0 || failed.length === 0);
  if (root !== undefined && isOnly) return [{ ...root, tags: [tag] }];
  throw new UsageError(
    `${source.name} has ${counted(roots.length + failed.length, "image")}: leave the tag out, and they keep their own`,
  );
}

/** Images of several repositories, saved together, may have the same tag: only one could keep it. */
function refuseShared(source: Source, roots: Root[], tag: string): void {
  const images = new Set(roots.filter(({ tags }) => tags.includes(tag)).map(({ digest }) => digest));
  if (images.size <= 1) return;
  throw new UsageError(
    `${source.name} has ${images.size} images with the tag ${tag}, and a repository has one: save each of them by itself, and push each to a repository of its own`,
  );
}

async function sourceOf(call: Invocation, text: string): Promise<Source> {
  const pattern = call.flags.text("tags");
  const layout = layoutOf(text);
  if (layout !== undefined) {
    if (pattern !== undefined) throw new UsageError("--tags is for repositories of registries");
    return localSource(await contentOf(layout.directory), layout.tag);
  }
  const reference = referenceOf(text);
  if (pattern !== undefined && (reference.tag !== undefined || reference.digest !== undefined)) {
    throw new UsageError("--tags names tags: leave that of the source out");
  }
  const wants = pattern === undefined ? undefined : testOf(pattern);
  return remoteSource(transportTo(call, reference, false), reference, wants);
}

async function destinationOf(
  call: Invocation,
  text: string,
): Promise<{ destination: Destination; tag: string | undefined }> {
  const layout = layoutOf(text);
  if (layout !== undefined) {
    return { destination: await layoutDestination(layout.directory), tag: layout.tag };
  }
  const reference = referenceOf(text);
  if (reference.digest !== undefined) throw new UsageError("a destination has no digest: it stays as it is");
  return {
    destination: remoteDestination(transportTo(call, reference, true), reference),
    tag: reference.tag,
  };
}

/** `--username` is for where something is pushed to. */
function transportTo(call: Invocation, { registry }: ImageReference, isDestination: boolean): Transport {
  const { flags, environment, readSecret } = call;
  const own = isDestination ? flags : flags.without(loginFlags.map(({ name }) => name));
  return new Transport({
    registry,
    credentials: () => credentialFor(registry, own, environment, readSecret),
    fetch: systemFetch(),
    userAgent: `stowage/${version}`,
  });
}

function referenceOf(text: string): ImageReference {
  const reference = parseImageReference(text);
  if (reference !== undefined) return reference;
  throw new UsageError(
    `${quote(text)} is no image, such as registry.example.org/team/app:v1, and no layout, such as oci:DIR`,
  );
}

/** `oci:DIR[:TAG]` */
function layoutOf(text: string): { directory: string; tag: string | undefined } | undefined {
  const match = /^oci:(.+?)(?::([^:/\\]+))?$/.exec(text);
  if (match === null) return undefined;
  const [, directory = "", tag] = match;
  if (tag !== undefined && parseTag(tag) === undefined) throw new UsageError(`${quote(tag)} is no tag`);
  return { directory, tag };
}

/** A layout, or an archive. */
async function contentOf(path: string) {
  const found = await stat(path).catch((error: unknown) => {
    throw new CommandError(`cannot read ${path}: ${error instanceof Error ? error.message : error}`);
  });
  return found.isDirectory() ? await layoutContent(path) : await archiveContent(path);
}

/** A pattern in which `*` matches any characters. */
function testOf(pattern: string): (tag: string) => boolean {
  const parts = pattern.split("*").map((part) => part.replace(/[\\^$.+?()[\]{}|]/g, "\\$&"));
  const expression = new RegExp(`^${parts.join(".*")}$`);
  return (tag) => expression.test(tag);
}
