/** Accounts, tokens and keys, as they cross RPC. */
import type { Grant } from "../oci/grant.ts";

/** A stored password: PBKDF2 with SHA-256; salt and hash in base64url. */
export type PasswordHash = { salt: string; hash: string; iterations: number };

/**
 * An account. `version` changes whenever the tokens that were issued for its password become invalid: with each new
 * password, when it is disabled, and when it is created again under the same name.
 */
export type Account = {
  name: string;
  grants: Grant[];
  isDisabled: boolean;
  version: number;
  createdAtMs: number;
  password?: PasswordHash;
};

/** An account to create or change; without `password` the old one stays. */
export type AccountPut = { name: string; password?: PasswordHash; grants: Grant[]; isDisabled: boolean };

/** A generated token of an account. Without `grants` it may do all that its account may. Days are counted from 1970. */
export type TokenRecord = {
  id: string;
  account: string;
  description: string;
  createdAtMs: number;
  grants?: Grant[];
  expiresAtMs?: number;
  lastUsedDay?: number;
};

/** A token to store, with the SHA-256 of its secret in hexadecimal. */
export type TokenPut = Omit<TokenRecord, "lastUsedDay"> & { secretHash: string };

/** A key that signs tokens: both halves as JWK. */
export type SigningKey = { kid: string; privateJwk: object; publicJwk: object };
