/** `/api/v1/accounts/{account}/tokens` */
import type { tokens } from "../../../contract/tokens.ts";
import { failure } from "../../../oci/errors.ts";
import type { Registry } from "../../../registry/registry.ts";
import type { TokenRecord } from "../../../rpc/api.ts";
import { day } from "../../../units.ts";
import { generateSecret, hashSecret } from "../../auth/passwords.ts";
import { adminName } from "../../auth/principal.ts";
import type { HandlersOf } from "../../operations/handler.ts";

const maxTokens = 100;

/** The public fields of a token: everything but the secret, of which only a hash is stored. */
function view({ id, description, grants, createdAtMs, expiresAtMs, lastUsedDay }: TokenRecord) {
  return {
    id,
    description,
    ...(grants === undefined ? {} : { grants }),
    createdAt: new Date(createdAtMs).toISOString(),
    ...(expiresAtMs === undefined ? {} : { expiresAt: new Date(expiresAtMs).toISOString() }),
    ...(lastUsedDay === undefined
      ? {}
      : { lastUsed: new Date(lastUsedDay * day).toISOString().slice(0, 10) }),
  };
}

export const tokenHandlers: HandlersOf<typeof tokens> = {
  "/accounts/{account}/tokens": {
    GET: async ({ registry, params: { account } }) => {
      if (!(await hasTokens(registry, account))) return failure("ACCOUNT_UNKNOWN");
      const found = await registry.catalog().listTokens(account);
      return { status: 200, body: { tokens: found.map(view) } };
    },

    POST: async ({ registry, params: { account }, access, body }) => {
      // A token must not outlive or exceed the token that created it, so tokens may not create tokens.
      if (access.tokenId !== undefined) return failure("DENIED", "a generated token makes no others");
      if (!(await hasTokens(registry, account))) return failure("ACCOUNT_UNKNOWN");
      if ((await registry.catalog().listTokens(account)).length >= maxTokens) {
        return failure("REQUEST_INVALID", `an account has at most ${maxTokens} tokens: delete one`);
      }
      const { description, grants, expiresInSeconds } = body;
      const secret = generateSecret();
      const createdAtMs = registry.clock.now();
      const token = {
        id: crypto.randomUUID(),
        account,
        description,
        createdAtMs,
        ...(grants === undefined ? {} : { grants }),
        ...(expiresInSeconds === undefined ? {} : { expiresAtMs: createdAtMs + expiresInSeconds * 1000 }),
      };
      await registry.catalog().addToken({ ...token, secretHash: hashSecret(secret) });
      return {
        status: 201,
        body: { ...view(token), secret },
        audited: { token: token.id, detail: description },
      };
    },
  },
  "/accounts/{account}/tokens/{token}": {
    DELETE: async ({ registry, params: { account, token } }) => {
      const isDeleted = await registry.catalog().deleteToken(account, token);
      return isDeleted ? { status: 204 } : failure("ACCOUNT_TOKEN_UNKNOWN");
    },
  },
};

/** Whether the account exists and may have tokens. The administrator's account is not in the catalog. */
async function hasTokens(registry: Registry, account: string): Promise<boolean> {
  return account === adminName || (await registry.catalog().account(account)) !== undefined;
}
