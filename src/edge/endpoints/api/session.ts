/** `/api/v1/session`, `/api/v1/info`, `/api/v1/account/password` */
import type { sessions } from "../../../contract/session.ts";
import { failure } from "../../../oci/errors.ts";
import type { Settings } from "../../../settings/settings.ts";
import { version } from "../../../version.ts";
import { audit } from "../../auth/audit.ts";
import { authCacheOf, logInByPassword } from "../../auth/authenticate.ts";
import { deriveNewPassword } from "../../auth/login.ts";
import { sessionChallenge } from "../../auth/management.ts";
import { accountPrincipal, adminName } from "../../auth/principal.ts";
import { endSession, startSession } from "../../auth/session.ts";
import type { Access } from "../../context.ts";
import type { HandlersOf } from "../../operations/handler.ts";

function infoView({ publicUrl, gcGraceMs, tagHistoryMs }: Settings) {
  return {
    version,
    ...(publicUrl === undefined ? {} : { publicUrl }),
    graceSeconds: Math.floor(gcGraceMs / 1000),
    tagHistorySeconds: Math.floor(tagHistoryMs / 1000),
  };
}

function view(access: Access, settings: Settings) {
  const { account, credential, endsAtMs } = access;
  const isOpen = credential === "open";
  return {
    account: isOpen || account === "anonymous" ? null : account,
    isOpen,
    isAdministrator: access.isAdministrator,
    isToken: access.tokenId !== undefined,
    grants: access.grantSets,
    ...(endsAtMs === undefined ? {} : { endsAt: new Date(endsAtMs).toISOString() }),
    registry: infoView(settings),
  };
}

export const sessionHandlers: HandlersOf<typeof sessions> = {
  "/session": {
    GET: async ({ access, registry }) => ({ status: 200, body: view(access, registry.settings) }),

    POST: async (call) => {
      const { registry, address, body } = call;
      const credentials = { name: body.account, password: body.password };
      const loggedIn = await logInByPassword(authCacheOf(registry), credentials, address);
      if (!loggedIn.ok) {
        return { ...loggedIn, headers: { "WWW-Authenticate": sessionChallenge(registry.settings) } };
      }
      const started = await startSession(call, loggedIn.principal);
      if (!started.ok) return started;
      const { access, headers } = started;
      const { account } = access;
      audit({ ...call, access }, { action: "session.create", target: account, outcome: "done", kind: "use" });
      return { status: 200, body: view(access, registry.settings), headers };
    },

    DELETE: async (call) => ({ status: 204, headers: endSession(call) }),
  },
  "/info": {
    GET: async ({ registry }) => ({ status: 200, body: infoView(registry.settings) }),
  },
  "/account/password": {
    PUT: async (call) => {
      const { registry, access, address, body } = call;
      const { account: name, tokenId } = access;
      if (tokenId !== undefined) return failure("DENIED", "a generated token changes no password");
      if (name === adminName || access.credential === "open") {
        return failure("DENIED", "this password is a secret of the deployment");
      }
      const cache = authCacheOf(registry);
      const loggedIn = await logInByPassword(cache, { name, password: body.current }, address);
      // 401 would mean that the session has ended.
      if (!loggedIn.ok) {
        return loggedIn.error === "LOGIN_FAILED" ? failure("PASSWORD_WRONG") : loggedIn;
      }
      const derived = await deriveNewPassword(cache, body.password, address);
      if (!derived.ok) return derived;
      const changed = await registry.catalog().changePassword(name, loggedIn.principal.version, derived.hash);
      if (changed === undefined) return failure("ACCOUNT_UNKNOWN");
      const audited = { account: name };
      if (access.credential !== "session") return { status: 204, audited };
      const started = await startSession(call, accountPrincipal(changed));
      return started.ok ? { status: 204, audited, headers: started.headers } : started;
    },
  },
};
