/** Credentials for a registry or its token service. */

/**
 * - `password`: a name with a password, or a token in its place
 * - `refresh-token`: `identitytoken` in docker's configuration
 * - `bearer`: `registrytoken` there; it is sent unchanged
 */
export type Credential =
  | { kind: "password"; username: string; password: string }
  | { kind: "refresh-token"; token: string }
  | { kind: "bearer"; token: string };

/** Finds the credential for a registry, when it is first needed; `undefined` where there is none. */
export type CredentialSource = () => Promise<Credential | undefined>;

/** The `Authorization` of a name and a password. Source: RFC 7617. */
export function basicAuthorization(username: string, password: string): string {
  const bytes = new TextEncoder().encode(`${username}:${password}`);
  return `Basic ${btoa(String.fromCharCode(...bytes))}`;
}
