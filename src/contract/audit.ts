/** `/audit`: what was done and refused. */
import * as v from "valibot";
import { auditKinds, auditOutcomes } from "../oci/audit.ts";
import type { Resource } from "./operation.ts";
import { must, time } from "./schemas.ts";

/** An entry of the audit log. */
export const auditEntry = v.object({
  id: v.pipe(v.number(), v.integer()),
  time: v.pipe(time, v.description("When it happened.")),
  actor: v.pipe(v.string(), v.description("The account, or `oidc:<issuer>:<subject>`.")),
  action: v.pipe(
    v.string(),
    v.description(
      "Such as `account.change` or `push`; of a refused request of this API its method and the name of its route.",
    ),
  ),
  target: v.pipe(v.string(), v.description("An account, a token or a repository.")),
  outcome: v.picklist(auditOutcomes),
  address: v.pipe(v.string(), v.description("The client's address, or `unknown`.")),
  requestId: v.string(),
  detail: v.optional(v.string()),
  times: v.optional(
    v.pipe(
      v.number(),
      v.integer(),
      v.minValue(2),
      v.description(
        "How often the same was refused within a moment, if more than once; the other fields are of the first time.",
      ),
    ),
  ),
});

export const audit = {
  "/audit": {
    name: "audit",
    GET: {
      id: "listAudit",
      summary: "Lists what was changed and who was refused, newest first",
      details:
        "At most 1,000 entries and about 1 MiB a page; `last` is the `id` after which it begins, so go by `Link`. The latest 10,000 entries of each kind are kept; the log has every one. Fields are cut: `actor` to 600 characters, `action` to 100, `target` to 400, `detail` to 1,000.",
      access: "administrator",
      query: {
        kind: v.optional(
          must(
            `one of ${auditKinds.join(", ")}`,
            v.pipe(
              v.picklist(auditKinds),
              v.description(
                "Only entries of this kind: what administrators did by this API; what others did, or got leave for, and all pushes and deletes; what was refused or wrong, and changed nothing.",
              ),
            ),
          ),
        ),
      },
      page: { most: 1000, last: "integer" },
      answers: {
        200: { description: "A page of entries", body: v.object({ entries: v.array(auditEntry) }) },
      },
    },
  },
} as const satisfies Resource;
