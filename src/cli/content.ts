/** Content that is pushed, pulled, listed and deleted: the client of registries, with the command line's errors. */
import { RegistryError } from "../client/errors.ts";
import { systemFetch } from "../client/node.ts";
import { pushBlob } from "../client/push-blob.ts";
import { RemoteRepository } from "../client/repository.ts";
import type { RetryPolicy } from "../client/retry.ts";
import { Transport } from "../client/transport.ts";
import type { Digest, RepositoryName, Tag } from "../oci/reference.ts";
import { version } from "../version.ts";
import { type Connection, type ConnectionOptions, notStowage } from "./connection.ts";
import { CommandError } from "./errors.ts";
import { fileSource } from "./file-source.ts";

/** Some seconds in all: somebody waits for the answer. */
const retries: RetryPolicy = { attempts: 5, firstPauseMs: 200, maxPauseMs: 2000 };

/** The content of repositories. Every failure is a {@link CommandError} whose message says what was wrong. */
export class Content {
  readonly #connection: Connection;
  readonly #transport: Transport;

  constructor(connection: Connection, { url, user, password }: ConnectionOptions) {
    this.#connection = connection;
    this.#transport = new Transport({
      registry: url,
      credentials: async () =>
        password === undefined ? undefined : { kind: "password", username: user, password },
      fetch: systemFetch(),
      retries,
      userAgent: `stowage/${version}`,
    });
  }

  /** Pushes a blob, unless it is there; `from`: a repository that may have it. Returns whether it was sent. */
  async pushBlob(
    repository: string,
    digest: Digest,
    file: string,
    from: RepositoryName | undefined,
  ): Promise<boolean> {
    return await this.#say(async () => {
      const remote = this.#repository(repository, "pull", "push");
      if ((await remote.statBlob(digest)) !== undefined) return false;
      return (await pushBlob(remote, digest, () => fileSource(file), { from })) === "sent";
    });
  }

  /** Pushes a blob even if it exists: the existing one may be damaged. */
  async replaceBlob(repository: string, digest: Digest, file: string): Promise<void> {
    const remote = this.#repository(repository, "pull", "push");
    await this.#say(() => pushBlob(remote, digest, () => fileSource(file)));
  }

  /** Pushes a manifest, and points tags at it. */
  async pushManifest(
    repository: string,
    digest: Digest,
    mediaType: string,
    body: Uint8Array,
    tags: string[],
  ): Promise<void> {
    const remote = this.#repository(repository, "pull", "push");
    await this.#say(() => remote.putManifest(digest, mediaType, body, { tags }));
  }

  /** Deletes a tag, or a manifest by its digest. The code of the error is the specification's where there is none. */
  async delete(repository: string, reference: string): Promise<void> {
    const remote = this.#repository(repository, "pull", "delete");
    await this.#say(() => remote.deleteManifest(reference as Tag | Digest));
  }

  #repository(name: string, ...actions: string[]): RemoteRepository {
    return new RemoteRepository(this.#transport, name as RepositoryName, actions);
  }

  async #say<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      if (!(error instanceof RegistryError)) throw error;
      const { kind, status, code, message } = error;
      if (kind === "foreign" && status !== undefined) {
        throw notStowage({ url: this.#connection.origin, status });
      }
      throw new CommandError(
        status === undefined ? message : this.#connection.refusal(status, message),
        status,
        {
          code,
        },
      );
    }
  }
}
