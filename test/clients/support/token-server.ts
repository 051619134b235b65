/** A token service for distribution, the reference registry: one account, which may pull everything. */
import { once } from "node:events";
import { writeFile } from "node:fs/promises";
import { createServer, type IncomingMessage } from "node:http";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { exportJWK, generateKeyPair, SignJWT } from "jose";
import { afterTest } from "../../support/ends.ts";

/** What distribution is told of a token service. */
export interface TokenService {
  realm: string;
  service: string;
  issuer: string;
  /** The file of the keys that verify its tokens. */
  jwks: string;
}

const service = "distribution";
const issuer = "token server of a test";
const kid = "only";

/** The accounts: who pushes is not who pulls. */
export interface TokenAccounts {
  [name: string]: { password: string; actions: string[] };
}

/** Starts one, which ends after the test. `directory`: for the file of its keys. */
export async function startTokenServer(
  t: TestContext,
  directory: string,
  accounts: TokenAccounts,
): Promise<TokenService> {
  const { publicKey, privateKey } = await generateKeyPair("ES256");
  const jwks = join(directory, "jwks.json");
  const keys = [{ ...(await exportJWK(publicKey)), kid, alg: "ES256", use: "sig" }];
  await writeFile(jwks, JSON.stringify({ keys }));
  const tokenFor = async (request: IncomingMessage) => {
    const account = accountOf(request.headers.authorization, accounts);
    if (account === undefined) return undefined;
    const scopes = new URL(request.url ?? "", "http://token").searchParams.getAll("scope");
    const access = scopes.flatMap((each) => {
      const [, type, name, wanted = ""] = /^(\w+):(.+):([\w,*]+)$/.exec(each) ?? [];
      const actions = wanted.split(",").filter((action) => account.actions.includes(action));
      return type === undefined ? [] : [{ type, name, actions }];
    });
    return new SignJWT({ access })
      .setProtectedHeader({ alg: "ES256", kid, typ: "JWT" })
      .setIssuer(issuer)
      .setAudience(service)
      .setSubject("somebody")
      .setJti(crypto.randomUUID())
      .setIssuedAt()
      .setNotBefore("-10s")
      .setExpirationTime("5m")
      .sign(privateKey);
  };
  const server = createServer(async (request, response) => {
    const token = await tokenFor(request);
    response.writeHead(token === undefined ? 401 : 200, { "Content-Type": "application/json" });
    response.end(JSON.stringify(token === undefined ? {} : { token, expires_in: 300 }));
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  afterTest(t, () => {
    server.close();
    server.closeAllConnections();
  });
  const address = server.address();
  const port = typeof address === "object" ? address?.port : undefined;
  return { realm: `http://127.0.0.1:${port}/token`, service, issuer, jwks };
}

function accountOf(authorization: string | undefined, accounts: TokenAccounts) {
  const [, encoded = ""] = /^Basic (.+)$/i.exec(authorization ?? "") ?? [];
  const [name = "", password] = Buffer.from(encoded, "base64").toString().split(":");
  const account = Object.hasOwn(accounts, name) ? accounts[name] : undefined;
  return account?.password === password ? account : undefined;
}
