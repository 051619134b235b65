/** A client that pushes and deletes at random, in ways that docker and others have, and remembers what it was told. */
import assert from "node:assert/strict";
import type { Answer } from "../../support/answer.ts";
import { Client, type PushedImage } from "../../support/client.ts";
import {
  configType,
  content,
  describe,
  digestOf,
  imageManifest,
  layerType,
  mebibyte,
} from "../../support/content.ts";
import { closeSession, uploadWays, type Way } from "../../support/upload-ways.ts";

/** What the registry said of an image. `unknown`: it was asked to push or delete it, and never answered. */
type State = "there" | "unknown" | "gone";
type Known = { image: PushedImage; sizes: Map<string, number>; state: State };

/** Layers that all clients push now and then, so that digests meet; two of them have several parts. */
const sharedLayers = [
  ...Array.from({ length: 12 }, () => content(20_000)),
  content(6 * mebibyte),
  content(11 * mebibyte),
];

/** A client of a server that may be killed: the reverse proxy says 503 where workerd has ended, which says nothing of the request. */
class BrokenOffClient extends Client {
  protected override check(method: string, path: string, answer: Answer): void {
    if (answer.status === 503) throw new Error(`${method} ${path} is not answered`);
    super.check(method, path, answer);
  }
}

function oneOf<T>(choices: T[]): T {
  const choice = choices[Math.floor(Math.random() * choices.length)];
  assert(choice !== undefined);
  return choice;
}

/** One client, in a repository of its own. */
export class Pusher {
  readonly repository: string;
  readonly #neighbour: string;
  readonly #images = new Map<string, Known>();
  /** Digests that were pushed or mounted, and acknowledged. */
  readonly #blobs = new Set<string>();
  /** The first location of each upload that was opened. */
  readonly uploads: string[] = [];
  #tagCount = 0;
  acknowledged = { manifests: 0, blobs: 0, deletions: 0 };

  constructor(repository: string, neighbour: string) {
    this.repository = repository;
    this.#neighbour = neighbour;
  }

  /** Pushes and deletes until the server is killed; from then on a request may fail. */
  async work(url: string, isKilled: () => boolean): Promise<void> {
    const client = new BrokenOffClient(url);
    try {
      while (!isKilled()) await this.#step(client);
    } catch (error) {
      if (!isKilled() || error instanceof assert.AssertionError) throw error;
    }
  }

  async #step(client: Client): Promise<void> {
    const chance = Math.random();
    const there = [...this.#images.values()].filter(({ state }) => state === "there");
    if (chance < 0.15 && there.length > 0) return this.#delete(client, oneOf(there));
    if (chance < 0.25) return this.#abandonUpload(client);
    return this.#push(client);
  }

  async #push(client: Client): Promise<void> {
    const config = content(500);
    const layers = Array.from({ length: 1 + Math.floor(Math.random() * 3) }, () =>
      Math.random() < 0.4 ? oneOf(sharedLayers) : content(1 + Math.floor(Math.random() * 40_000)),
    );
    for (const bytes of [config, ...layers]) await this.#pushBlob(client, bytes);
    const manifest = imageManifest(
      describe(config, configType),
      layers.map((bytes) => describe(bytes, layerType)),
    );
    const [digest, tag] = [digestOf(manifest), `v${++this.#tagCount}`];
    const image = {
      digest,
      manifest,
      config: digestOf(config),
      layers: layers.map((bytes) => digestOf(bytes)),
    };
    const sizes = new Map([config, ...layers].map((bytes) => [digestOf(bytes), bytes.byteLength]));
    const known: Known = { image, sizes, state: "unknown" };
    this.#images.set(tag, known);
    await client.pushManifest(this.repository, tag, manifest);
    known.state = "there";
    this.acknowledged.manifests++;
  }

  async #pushBlob(client: Client, bytes: Uint8Array): Promise<void> {
    const digest = digestOf(bytes);
    const { status } = await client.send("HEAD", `/v2/${this.repository}/blobs/${digest}`);
    if (status !== 200) await this.#wayToPush(client)(this.repository, bytes, digest);
    this.#blobs.add(digest);
    this.acknowledged.blobs++;
  }

  #wayToPush(client: Client): Way {
    const { [oneOf(["a single POST", "POST, then PUT"])]: whole } = uploadWays(client);
    return oneOf<Way>([
      async (_, bytes, digest) => {
        const location = await this.#open(client);
        return closeSession(client, await client.patch(location, bytes), digest);
      },
      async (repository, bytes, digest) => {
        const mount = `?mount=${digest}&from=${this.#neighbour}`;
        const opened = await client.send("POST", `/v2/${repository}/blobs/uploads/${mount}`);
        if (opened.status === 201) return opened.header("Location");
        assert.equal(opened.status, 202, opened.text);
        return closeSession(client, opened.header("Location"), digest, bytes);
      },
      whole ?? assert.fail(),
    ]);
  }

  async #open(client: Client): Promise<string> {
    const location = await client.openUpload(this.repository);
    this.uploads.push(location);
    return location;
  }

  async #abandonUpload(client: Client): Promise<void> {
    await client.patch(await this.#open(client), content(oneOf([100, 7 * mebibyte])));
  }

  async #delete(client: Client, known: Known): Promise<void> {
    known.state = "unknown";
    await client.must(202, "DELETE", `/v2/${this.repository}/manifests/${known.image.digest}`);
    known.state = "gone";
    this.acknowledged.deletions++;
  }

  /** Pulls everything that was acknowledged, and finds out what became of requests without an answer. */
  async verify(url: string, areLinksKept: boolean): Promise<void> {
    const client = new Client(url);
    for (const [tag, known] of this.#images) {
      const { image, state } = known;
      const byTag = await client.get(`/v2/${this.repository}/manifests/${tag}`);
      const byDigest = await client.get(`/v2/${this.repository}/manifests/${image.digest}`);
      const what = `${this.repository}:${tag} (${state}) is answered with ${byTag.status}, ${byDigest.status}`;
      assert.equal(byTag.status, byDigest.status, what);
      if (state === "unknown") known.state = byTag.status === 200 ? "there" : "gone";
      assert.equal(byTag.status, known.state === "there" ? 200 : 404, what);
      if (known.state === "gone") continue;
      for (const { bytes } of [byTag, byDigest]) assert.equal(digestOf(bytes), image.digest, what);
    }
    const blobs = areLinksKept ? [...this.#blobs] : [...this.reachable().keys()];
    for (const digest of blobs) {
      const { bytes } = await client.must(200, "GET", `/v2/${this.repository}/blobs/${digest}`);
      assert.equal(digestOf(bytes), digest);
    }
    for (const [tag, { state }] of this.#images) if (state === "gone") this.#images.delete(tag);
  }

  /** The blobs that its images reach, with their sizes. */
  reachable(): Map<string, number> {
    const there = [...this.#images.values()].filter(({ state }) => state === "there");
    return new Map(there.flatMap(({ sizes }) => [...sizes]));
  }
}
