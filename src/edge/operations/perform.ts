/**
 * Performs an operation: validates the call, calls its handler, and writes the audit entry. The caller was authorised
 * before, in ../dispatch.ts.
 */
import type { Audit, ContentAnswer, Operation } from "../../contract/operation.ts";
import { errorCatalogue, type Failure } from "../../oci/errors.ts";
import { nextPageLink } from "../../oci/http.ts";
import { audit } from "../auth/audit.ts";
import type { Answer, Context, HeaderMap } from "../context.ts";
import { jsonReply } from "../respond.ts";
import { type ParsedCall, parseCall } from "./parse-call.ts";

/** The reply of any handler, whatever its operation. */
type AnyReply = {
  status: number;
  body?: unknown;
  next?: string;
  audited?: Record<string, string | undefined>;
  ready?: Promise<unknown>;
  headers?: HeaderMap;
};

/** Any handler, whatever its operation. */
export type AnyHandler = (call: Omit<Context, "params"> & ParsedCall) => Promise<Failure | AnyReply>;

/** Validates the call of an operation, calls its handler, and audits it. */
export async function perform(context: Context, operation: Operation, handler: AnyHandler): Promise<Answer> {
  const parsed = await parseCall(context, operation);
  if (!parsed.ok) return parsed;
  const { call } = parsed;
  const reply = await handler({ ...context, ...call });
  if ("ok" in reply) return naming(reply, call.params);
  if ("audit" in operation && operation.audit !== "none") {
    const { action, detail, ...named } = reply.audited ?? {};
    const entry = entryOf(operation.audit, action, { ...call.params, ...named });
    audit(context, { ...entry, outcome: "done", ...(detail === undefined ? {} : { detail }) });
  }
  await reply.ready;
  const { status, body, next, headers = {} } = reply;
  if (body === undefined) return { status, headers };
  if (operation.answers[status]?.content !== undefined) return { ...(body as ContentAnswer), status };
  const link =
    next === undefined || call.page === undefined
      ? {}
      : { Link: nextPageLink(context.url, { limit: call.page.limit, last: next }) };
  return { ...jsonReply(body, { ...headers, ...link }), status };
}

/** What does not exist is named as the path has it, unless the failure says more. */
function naming(refused: Failure, params: Record<string, string>): Failure {
  const isBare = errorCatalogue[refused.error].status === 404 && refused.detail === undefined;
  return isBare ? ({ ...refused, detail: params } as Failure) : refused;
}

/** The action and target of an entry. A name in braces in the target stands for the value of that name. */
function entryOf(
  { action, target }: Audit,
  done: string | undefined,
  values: Record<string, string | undefined>,
) {
  return {
    action: typeof action === "string" ? action : (done ?? ""),
    target: target.replace(/\{(\w+)\}/g, (_, name: string) => values[name] ?? ""),
  };
}
