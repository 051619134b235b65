/** A small token service of somebody else, with its keys over HTTP. */
import { once } from "node:events";
import { createServer, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { exportJWK, generateKeyPair, SignJWT } from "jose";
import { after } from "../../support/ends-of-files.ts";

type Key = { kid: string; alg: string; privateKey: CryptoKey; publicJwk: object };

export type SignOptions = { header?: Record<string, unknown>; key?: Key };

/** How the issuer answers for its keys; `silent`: it takes the request and never answers. */
export type Behaviour = "well" | "down" | "silent" | ((response: ServerResponse) => void);

export async function makeKey(alg = "ES256", kid: string = crypto.randomUUID()): Promise<Key> {
  const { privateKey, publicKey } = await generateKeyPair(alg, { extractable: true });
  return { kid, alg, privateKey, publicJwk: { ...(await exportJWK(publicKey)), kid, alg, use: "sig" } };
}

export class Issuer {
  readonly url: string;
  /** The newest comes first, and signs. */
  keys: Key[];
  behaviour: Behaviour = "well";
  /** How often its keys were asked for. */
  fetches = 0;

  constructor(url: string, key: Key) {
    this.url = url;
    this.keys = [key];
  }

  get jwksUrl(): string {
    return `${this.url}/keys`;
  }

  answer(response: ServerResponse): void {
    this.fetches++;
    if (this.behaviour === "well") {
      response.setHeader("Content-Type", "application/json");
      response.end(JSON.stringify({ keys: this.keys.map((key) => key.publicJwk) }));
    } else if (this.behaviour === "down") response.destroy();
    else if (this.behaviour !== "silent") this.behaviour(response);
  }

  /** Signs a token; without other claims one of `someone` for the registry, good for five minutes. */
  async sign(
    claims: Record<string, unknown> = {},
    { header = {}, key = this.keys[0] }: SignOptions = {},
  ): Promise<string> {
    if (key === undefined) throw new Error("the issuer has no key");
    const now = Math.floor(Date.now() / 1000);
    const standard = { iss: this.url, aud: "registry.example", sub: "someone", iat: now, exp: now + 300 };
    return new SignJWT({ ...standard, ...claims })
      .setProtectedHeader({ alg: key.alg, kid: key.kid, ...header })
      .sign(key.privateKey, { crit: { "urn:test": true } });
  }
}

/** Starts an issuer that ends after the tests of the file. */
export async function startIssuer(): Promise<Issuer> {
  const server = createServer((_, response) => issuer.answer(response));
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  const issuer: Issuer = new Issuer(`http://127.0.0.1:${port}`, await makeKey());
  after(() => {
    server.close();
    server.closeAllConnections();
  });
  return issuer;
}
