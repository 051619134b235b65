/** The credentials for a registry that a command names: from flags, variables, or docker's configuration. */
import type { Credential } from "../client/credentials.ts";
import { DockerConfigError, dockerCredential } from "../client/docker-config.ts";
import type { Flag, FlagValues } from "./command.ts";
import { CommandError, UsageError } from "./errors.ts";

/** The environment of the process. */
export type Environment = Record<string, string | undefined>;

/** The flags by which credentials are given. */
export const loginFlags: Flag[] = [
  { name: "username", value: "NAME", summary: "who asks (else $STOWAGE_USER, or as docker is logged in)" },
  {
    name: "password-stdin",
    summary: "the password or token of --username is on stdin (else $STOWAGE_PASSWORD)",
  },
];

/**
 * Finds the credential for a registry: that of `--username`; else of the variables, if `STOWAGE_URL` is this registry;
 * else that by which docker is logged in; `undefined` where there is none.
 *
 * @throws UsageError, CommandError
 */
export async function credentialFor(
  registry: URL,
  flags: FlagValues,
  environment: Environment,
  readSecret: () => Promise<string>,
): Promise<Credential | undefined> {
  const username = flags.text("username");
  if (username?.includes(":") === true) throw new UsageError("a user's name has no colon");
  const isOnStdin = flags.has("password-stdin");
  if (isOnStdin && username === undefined) throw new UsageError("--password-stdin needs --username");
  if (username !== undefined) {
    const password = isOnStdin ? await readSecret() : environment.STOWAGE_PASSWORD;
    if (password) return { kind: "password", username, password };
    throw new UsageError(
      `the password of ${username} is needed: with --password-stdin, or in STOWAGE_PASSWORD`,
    );
  }
  const { STOWAGE_URL, STOWAGE_USER = "admin", STOWAGE_PASSWORD } = environment;
  if (STOWAGE_PASSWORD && URL.parse(STOWAGE_URL ?? "")?.origin === registry.origin) {
    return { kind: "password", username: STOWAGE_USER || "admin", password: STOWAGE_PASSWORD };
  }
  return await dockerCredential(registry.host, environment).catch((error: unknown) => {
    if (error instanceof DockerConfigError) throw new CommandError(error.message);
    throw error;
  });
}
