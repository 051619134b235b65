/** Names of images as people write them: `host[:port]/repository[:tag][@digest]`. */

import { isLoopbackHost, parseOrigin } from "../oci/address.ts";
import {
  type Digest,
  parseDigest,
  parseRepositoryName,
  parseTag,
  type RepositoryName,
  type Tag,
} from "../oci/reference.ts";

/** A repository of a registry, and a tag or digest in it. */
export type ImageReference = {
  registry: URL;
  repository: RepositoryName;
  tag?: Tag;
  digest?: Digest;
};

/**
 * Reads the name of an image; `undefined` when it is none. It needs a host, as no registry is everybody's default.
 *
 * A scheme in front may say `http://` or `https://`. Without one, a host of this machine is asked over http, and every
 * other one over https. `docker.io` is where Docker Hub's registry is.
 */
export function parseImageReference(text: string): ImageReference | undefined {
  const match = /^(?:(https?|docker):\/\/)?([^/]+)\/([^@:]+)(?::([^@]+))?(?:@(.+))?$/.exec(text);
  if (match === null) return undefined;
  const [, scheme, host = "", path = "", tagText, digestText] = match;
  const registry = registryOf(host, scheme === "docker" ? undefined : scheme);
  const isHub = registry?.hostname === "registry-1.docker.io";
  const repository = parseRepositoryName(isHub && !path.includes("/") ? `library/${path}` : path);
  const tag = tagText === undefined ? undefined : parseTag(tagText);
  const digest = digestText === undefined ? undefined : parseDigest(digestText);
  const isWrong = (tagText !== undefined && !tag) || (digestText !== undefined && !digest);
  if (registry === undefined || repository === undefined || isWrong) return undefined;
  return {
    registry,
    repository,
    ...(tag === undefined ? {} : { tag }),
    ...(digest === undefined ? {} : { digest }),
  };
}

/** The address of a registry by its host and port; `undefined` when that is none. */
export function registryOf(host: string, scheme?: string): URL | undefined {
  // As in docker: a first part without a dot and a port is a name at Docker Hub, unless it is this machine.
  if (scheme === undefined && !/[.:]/.test(host) && host !== "localhost") return undefined;
  if (host === "docker.io" || host === "index.docker.io") return new URL("https://registry-1.docker.io");
  const url = parseOrigin(`https://${host}`);
  if (url === undefined) return undefined;
  return new URL(`${scheme ?? (isLoopbackHost(url.hostname) ? "http" : "https")}://${host}`);
}

/** Writes the name of an image, as it is read. */
export function formatImageReference({ registry, repository, tag, digest }: ImageReference): string {
  const name = `${registry.host}/${repository}`;
  return `${name}${tag === undefined ? "" : `:${tag}`}${digest === undefined ? "" : `@${digest}`}`;
}
