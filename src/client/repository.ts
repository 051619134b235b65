/** One repository of a registry, as the distribution specification has it. */

import { maxManifestBytes } from "../oci/manifest.ts";
import {
  dockerManifestListType,
  dockerManifestType,
  imageIndexType,
  imageManifestType,
  mediaTypeOfHeader,
} from "../oci/media-type.ts";
import {
  algorithmOf,
  type Digest,
  digestOfContent,
  parseDigest,
  type RepositoryName,
  type Tag,
} from "../oci/reference.ts";
import type { AccessEntry } from "../oci/scope.ts";
import { type Descriptor, readDescriptors } from "./descriptor.ts";
import { RegistryError } from "./errors.ts";
import { discard, readWhole } from "./exchange.ts";
import { followPages, nextTarget, type Page } from "./pages.ts";
import { type BlobRange, lengthOf, rangeHeader, startsAt } from "./ranges.ts";
import { refusalOf } from "./refusals.ts";
import type { RetryPolicy } from "./retry.ts";
import type { Outgoing, Transport } from "./transport.ts";
import { minChunkBytes, UploadSession } from "./upload.ts";

/** A manifest as it was stored. */
export type FetchedManifest = { digest: Digest; mediaType: string; bytes: Uint8Array };

/** The facts that a HEAD returns about a manifest. */
export type ManifestStat = { digest: Digest | undefined; mediaType: string; size: number | undefined };

/** A blob that is being read. `size`: the length of the body, if it is known. */
export type OpenBlob = { body: ReadableStream<Uint8Array>; size: number | undefined };

/** Every request can be aborted; the message of its error names its subject. */
type Options = { signal?: AbortSignal | undefined };

/** An open upload, and the smallest chunk, except for the last, that the registry accepts. */
export type StartedUpload = { session: UploadSession; minChunkBytes: number };

const accepted = [imageManifestType, imageIndexType, dockerManifestType, dockerManifestListType, "*/*"].join(
  ", ",
);
/**
 * What registries answer that have no list of referrers. Artifactory has answered 406; GitHub's leads to a page of its
 * website (303). Others answer 200 with something that is no index.
 */
const withoutReferrers = [303, 400, 404, 405, 406, 501];
const maxPageBytes = 16 * 1024 * 1024;

/** A repository of a registry. Every failure is a {@link RegistryError}. */
export class RemoteRepository {
  readonly name: RepositoryName;
  readonly #transport: Transport;
  readonly #scopes: readonly AccessEntry[];

  /** @param actions the actions to request a token for: `pull`, or `pull` and `push`, or also `delete` */
  constructor(transport: Transport, name: RepositoryName, actions: readonly string[] = ["pull"]) {
    this.#transport = transport;
    this.name = name;
    this.#scopes = [{ type: "repository", name, actions: [...actions] }];
  }

  /** The address of the registry. */
  get registry(): URL {
    return this.#transport.registry;
  }

  /**
   * Reads a manifest by its tag or digest; `undefined` where there is none. What is asked for by digest is what the
   * digest is of.
   */
  async manifest(reference: Tag | Digest, options: Options = {}): Promise<FetchedManifest | undefined> {
    const subject = `manifest ${reference}`;
    const response = await this.#send(`manifests/${reference}`, [200, 404], subject, {
      headers: { Accept: accepted },
      ...options,
    });
    if (response.status === 404) return await nothing(response);
    const mediaType = mediaTypeOfHeader(response.headers.get("Content-Type")) ?? imageManifestType;
    const bytes = await readWhole(response, maxManifestBytes).catch((error: unknown) => {
      throw error instanceof RegistryError ? error.about(subject) : error;
    });
    const named = parseDigest(reference) ?? parseDigest(response.headers.get("Docker-Content-Digest") ?? "");
    const digest = digestOfContent(bytes, named === undefined ? "sha256" : algorithmOf(named));
    if (named === undefined || named === digest) return { digest, mediaType, bytes };
    throw new RegistryError("broken", `${subject}: what came for ${named} is ${digest}`);
  }

  /** Reads the facts of a manifest without its bytes; `undefined` if it does not exist. */
  async statManifest(reference: Tag | Digest, options: Options = {}): Promise<ManifestStat | undefined> {
    const response = await this.#send(`manifests/${reference}`, [200, 404], `manifest ${reference}`, {
      method: "HEAD",
      headers: { Accept: accepted },
      ...options,
    });
    if (response.status === 404) return await nothing(response);
    await discard(response);
    return {
      digest: parseDigest(response.headers.get("Docker-Content-Digest") ?? ""),
      mediaType: mediaTypeOfHeader(response.headers.get("Content-Type")) ?? imageManifestType,
      size: lengthOf(response),
    };
  }

  /**
   * Stores a manifest under its digest or a tag. The answer says whether the registry lists it with its subject, where it
   * has one; else {@link addReferrer} does.
   *
   * @param tags that are pointed at it in the same request, where the registry knows how: Stowage does
   */
  async putManifest(
    reference: Tag | Digest,
    mediaType: string,
    bytes: Uint8Array,
    { tags = [], signal }: Options & { tags?: readonly string[] } = {},
  ): Promise<{ isListed: boolean }> {
    const query = tags.length === 0 ? "" : `?${new URLSearchParams(tags.map((tag) => ["tag", tag]))}`;
    const response = await this.#send(`manifests/${reference}${query}`, [201], `manifest ${reference}`, {
      method: "PUT",
      headers: { "Content-Type": mediaType },
      body: bytes,
      isRepeatable: true,
      signal,
    });
    await discard(response);
    return { isListed: response.headers.has("OCI-Subject") };
  }

  /**
   * Adds a manifest to the index that stands for the referrers of another one, where the registry has no list of its own.
   * Source: distribution-spec, "Pushing Manifests with Subject", "Referrers Tag Schema".
   */
  async addReferrer(subject: Digest, referrer: Descriptor, options: Options = {}): Promise<void> {
    const tag = referrersTag(subject);
    const index = await this.manifest(tag, options);
    const known =
      index === undefined ? [] : readDescriptors(parse<{ manifests?: unknown }>(index.bytes)?.manifests);
    if (known.some(({ digest }) => digest === referrer.digest)) return;
    const manifests = [...known, referrer];
    const json = JSON.stringify({ schemaVersion: 2, mediaType: imageIndexType, manifests });
    await this.putManifest(tag, imageIndexType, new TextEncoder().encode(json), options);
  }

  /** Deletes a tag, or a manifest by its digest. */
  async deleteManifest(reference: Tag | Digest, options: Options = {}): Promise<void> {
    const more = { method: "DELETE", ...options };
    await discard(await this.#send(`manifests/${reference}`, [202], `manifest ${reference}`, more));
  }

  /** Opens a blob, or some bytes of it; `undefined` where the repository does not have it. */
  async openBlob(
    digest: Digest,
    { range, signal }: Options & { range?: BlobRange } = {},
  ): Promise<OpenBlob | undefined> {
    const subject = `blob ${digest}`;
    const isPart = range !== undefined && (range.offset > 0 || range.length !== undefined);
    const response = await this.#send(`blobs/${digest}`, isPart ? [206, 404] : [200, 404], subject, {
      headers: isPart ? { Range: rangeHeader(range) } : {},
      signal,
    });
    if (response.status === 404) return await nothing(response);
    if (isPart && !startsAt(response, range.offset)) {
      await discard(response);
      throw new RegistryError(
        "foreign",
        `${subject}: the registry answers with another range than was asked for`,
      );
    }
    return { body: response.body ?? new Blob([]).stream(), size: lengthOf(response) };
  }

  /** The size of a blob, or -1 where the registry does not say; `undefined` where the repository does not have it. */
  async statBlob(digest: Digest, options: Options = {}): Promise<number | undefined> {
    const more = { method: "HEAD", ...options };
    const response = await this.#send(`blobs/${digest}`, [200, 404], `blob ${digest}`, more);
    if (response.status === 404) return await nothing(response);
    await discard(response);
    return lengthOf(response) ?? -1;
  }

  /**
   * Begins the upload of a blob; `undefined` when it was mounted instead.
   *
   * @param from a repository of this registry that may have it
   */
  async startUpload(
    digest: Digest,
    {
      from,
      signal,
      retries,
    }: Options & { from?: RepositoryName | undefined; retries?: RetryPolicy | undefined } = {},
  ): Promise<StartedUpload | undefined> {
    const query = from === undefined ? "" : `?${new URLSearchParams({ mount: digest, from })}`;
    const source = from === undefined ? [] : [{ type: "repository", name: from, actions: ["pull"] }];
    const response = await this.#send(`blobs/uploads/${query}`, [201, 202], `blob ${digest}`, {
      method: "POST",
      scopes: [...this.#scopes, ...source],
      // One that is begun and not used costs nothing, and ends by itself.
      isRepeatable: true,
      signal,
    });
    await discard(response);
    if (response.status === 201) return undefined;
    const given = response.headers.get("Location");
    if (given === null) throw this.#notAsSpecified(response.status);
    const location = this.#transport.resolve(given, this.#address());
    const options = { scopes: this.#scopes, signal, retries };
    const session = new UploadSession(this.#transport, location, 0, options);
    return { session, minChunkBytes: minChunkBytes(response) };
  }

  /** The tags, page after page. */
  async *tags(options: Options = {}): AsyncGenerator<string> {
    for await (const { tags } of this.#pages<{ tags?: unknown }>("tags/list?n=1000", options)) {
      // Of no tags some say null.
      if (tags !== null && !Array.isArray(tags)) throw this.#notAsSpecified();
      yield* (tags ?? []).filter((tag) => typeof tag === "string");
    }
  }

  /**
   * What refers to a manifest: signatures, attestations and the like. Where the registry has no such list, it is the
   * index under the tag that stands for the digest. Source: distribution-spec, "Listing Referrers", "Referrers Tag
   * Schema".
   */
  async referrers(digest: Digest, options: Options = {}): Promise<Descriptor[]> {
    const found: Descriptor[] = [];
    const absent = { absent: withoutReferrers, mediaType: imageIndexType };
    let hasList = false;
    for await (const { manifests } of this.#pages<{ manifests?: unknown }>(
      `referrers/${digest}`,
      options,
      absent,
    )) {
      hasList = true;
      for (const each of readDescriptors(manifests)) found.push(each);
    }
    if (hasList) return found;
    const index = await this.manifest(referrersTag(digest), options);
    return index?.mediaType === imageIndexType
      ? readDescriptors(parse<{ manifests?: unknown }>(index.bytes)?.manifests)
      : [];
  }

  /**
   * The answers to a list, each an object, as far as `Link` leads; none where the first is one of `absent`, or has content
   * of another type than `mediaType`.
   */
  #pages<T extends object>(
    path: string,
    options: Options,
    { absent = [], mediaType }: { absent?: number[]; mediaType?: string } = {},
  ): AsyncGenerator<T> {
    const read = async (address: URL, isFirst: boolean): Promise<Page<T> | undefined> => {
      const unfollowed = isFirst ? absent : [];
      const response = await this.#send(address, [200, ...unfollowed], undefined, { ...options, unfollowed });
      const type = mediaTypeOfHeader(response.headers.get("Content-Type"));
      const isOther = isFirst && mediaType !== undefined && type !== mediaType;
      if (response.status !== 200 || isOther) return await nothing(response);
      const page = parse<T>(await readWhole(response, maxPageBytes));
      if (page === undefined) throw this.#notAsSpecified();
      const next = nextTarget(response);
      return { page, next: next === undefined ? undefined : this.#transport.resolve(next, address) };
    };
    const endless = () => new RegistryError("foreign", `${this.registry.host} gives a list without an end`);
    return followPages(this.#address(path), read, endless);
  }

  #notAsSpecified(status = 200): RegistryError {
    const { host } = this.registry;
    return new RegistryError("foreign", `${host} does not answer as a registry does`, { status });
  }

  #address(path = ""): URL {
    return this.#transport.resolve(`v2/${this.name}/${path}`);
  }

  async #send(
    target: string | URL,
    expected: number[],
    subject: string | undefined,
    more: Partial<Outgoing>,
  ): Promise<Response> {
    const url = typeof target === "string" ? this.#address(target) : target;
    const outgoing = { method: "GET", scopes: this.#scopes, ...more, target: url };
    const response = await this.#transport.send(outgoing);
    if (expected.includes(response.status)) return response;
    const refusal = await refusalOf(outgoing.method, this.#transport.registry, response);
    throw subject === undefined ? refusal : refusal.about(subject);
  }
}

/** The tag under which referrers are listed where a registry has no list. distribution-spec: Referrers Tag Schema. */
export function referrersTag(digest: Digest): Tag {
  return digest.replace(":", "-").slice(0, 128) as Tag;
}

async function nothing(response: Response): Promise<undefined> {
  await discard(response);
}

/** The JSON object that an answer is; `undefined` when it is none. */
function parse<T extends object>(bytes: Uint8Array): T | undefined {
  try {
    const value: unknown = JSON.parse(new TextDecoder().decode(bytes));
    return typeof value === "object" && value !== null ? (value as T) : undefined;
  } catch {
    return undefined;
  }
}
