/**
 * Credentials of docker's configuration, and of the helpers that it names: for Node and Deno alone.
 *
 * Source: docker's documentation, "docker login", "Credential stores" and "Credential helpers".
 */
import { spawn } from "node:child_process";
import { readFile } from "node:fs/promises";
import { homedir } from "node:os";
import { join } from "node:path";
import { isObject } from "../oci/manifest-fields.ts";
import type { Credential } from "./credentials.ts";

/** The configuration cannot be read, or its helper does not work; the message says which and why. */
export class DockerConfigError extends Error {
  override name = "DockerConfigError";
}

/** Docker Hub's registry has a name of its own in the configuration. */
const hubKey = "https://index.docker.io/v1/";
const hubHosts: readonly string[] = ["docker.io", "index.docker.io", "registry-1.docker.io"];
const helperGrammar = /^[A-Za-z0-9][A-Za-z0-9._-]*$/;
/** A helper may ask its user to unlock something. */
const helperMs = 120_000;
const maxHelperBytes = 256 * 1024;

/**
 * Finds the credential for a registry; `undefined` where there is none, or no configuration.
 *
 * @param host the registry's host, with its port if it has one of its own
 * @throws DockerConfigError
 */
export async function dockerCredential(
  host: string,
  environment: Record<string, string | undefined>,
): Promise<Credential | undefined> {
  const directory = environment.DOCKER_CONFIG || join(environment.HOME || homedir(), ".docker");
  const path = join(directory, "config.json");
  const text = await readFile(path, "utf8").catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT" || error.code === "ENOTDIR") return undefined;
    throw new DockerConfigError(`cannot read ${path}: ${error.message}`);
  });
  if (text === undefined) return undefined;
  const config = parse(text);
  if (config === undefined) throw new DockerConfigError(`${path} is no JSON object`);
  const isHub = hubHosts.includes(host);
  const key = isHub ? hubKey : host;
  const helpers = isObject(config.credHelpers) ? config.credHelpers : {};
  const helper = helpers[host] ?? helpers[key] ?? config.credsStore;
  if (typeof helper === "string" && helper !== "") {
    const found = await askHelper(helper, key, environment);
    if (found !== undefined) return found;
  }
  const auths = isObject(config.auths) ? config.auths : {};
  const entry = auths[key] ?? Object.entries(auths).find(([name]) => hostOfKey(name) === host)?.[1];
  return isObject(entry) ? credentialOf(entry) : undefined;
}

/** Older programs wrote addresses for keys. */
function hostOfKey(key: string): string {
  return key.replace(/^https?:\/\//, "").replace(/\/.*$/, "");
}

function credentialOf({ auth, identitytoken, registrytoken, username, password }: Record<string, unknown>) {
  if (isFilled(registrytoken)) return { kind: "bearer", token: registrytoken } as const;
  if (isFilled(identitytoken)) return { kind: "refresh-token", token: identitytoken } as const;
  if (isFilled(username) && isFilled(password)) return { kind: "password", username, password } as const;
  const text = isFilled(auth) ? Buffer.from(auth, "base64").toString() : "";
  const colon = text.indexOf(":");
  if (colon <= 0) return undefined;
  // Docker itself once ended the password with a zero.
  const given = text.slice(colon + 1).replace(/\0+$/, "");
  return { kind: "password", username: text.slice(0, colon), password: given } as const;
}

function isFilled(value: unknown): value is string {
  return typeof value === "string" && value !== "";
}

async function askHelper(
  helper: string,
  server: string,
  environment: Record<string, string | undefined>,
): Promise<Credential | undefined> {
  if (!helperGrammar.test(helper))
    throw new DockerConfigError(`${JSON.stringify(helper)} is no credential helper`);
  const program = `docker-credential-${helper}`;
  const { code, stdout } = await runHelper(program, server, environment);
  if (code !== 0) {
    // Helpers use these messages for "no credentials"; docker recognises them in the same way.
    if (/credentials not found/i.test(stdout)) return undefined;
    throw new DockerConfigError(`${program} failed: ${stdout.trim().slice(0, 200) || `exit code ${code}`}`);
  }
  const answer = parse(stdout);
  const [username, secret] = [answer?.Username, answer?.Secret];
  if (!isFilled(secret)) return undefined;
  if (username === "<token>") return { kind: "refresh-token", token: secret };
  return isFilled(username) ? { kind: "password", username, password: secret } : undefined;
}

function runHelper(
  program: string,
  input: string,
  environment: Record<string, string | undefined>,
): Promise<{ code: number | null; stdout: string }> {
  const { promise, resolve, reject } = Promise.withResolvers<{ code: number | null; stdout: string }>();
  const child = spawn(program, ["get"], { env: environment, stdio: ["pipe", "pipe", "inherit"] });
  const timer = setTimeout(() => {
    reject(new DockerConfigError(`${program} did not answer within ${helperMs / 1000} s`));
    child.kill();
    // What it has started may keep its output open, and so this process.
    for (const stream of [child.stdin, child.stdout]) stream.destroy();
    child.unref();
  }, helperMs);
  let stdout = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    if (stdout.length < maxHelperBytes) stdout += text;
  });
  // One that does not read closes its end.
  child.stdin.on("error", () => {}).end(input);
  child.once("error", (error) => reject(new DockerConfigError(`cannot run ${program}: ${error.message}`)));
  child.once("close", (code) => resolve({ code, stdout }));
  return promise.finally(() => clearTimeout(timer));
}

function parse(text: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return isObject(value) ? value : undefined;
  } catch {
    return undefined;
  }
}
