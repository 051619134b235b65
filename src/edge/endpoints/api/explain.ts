/** `/api/v1/explain` */
import type { explain } from "../../../contract/explain.ts";
import { everything, findGrant } from "../../../oci/grant.ts";
import { isPublic } from "../../../registry/repositories.ts";
import { adminName } from "../../auth/principal.ts";
import type { HandlersOf } from "../../operations/handler.ts";

export const explainHandlers: HandlersOf<typeof explain> = {
  "/explain": {
    POST: async ({ registry, body: { account: name, repository, verb } }) => {
      if (verb === "pull" && (await isPublic(registry, repository))) {
        return yes("the repository is public: everybody may pull it");
      }
      const account = name === adminName ? undefined : await registry.catalog().account(name);
      if (name !== adminName && account === undefined) return no("there is no such account");
      if (account?.isDisabled) return no("the account is disabled");
      const grant = findGrant(account?.grants ?? everything, verb, repository);
      if (grant === undefined) return no(`no grant of the account allows ${verb} on this repository`);
      const { status, body } = yes("a grant of the account allows it");
      return { status, body: { ...body, grant } };
    },
  },
};

function yes(reason: string) {
  return { status: 200, body: { allowed: true, reason } } as const;
}

function no(reason: string) {
  return { status: 200, body: { allowed: false, reason } } as const;
}
