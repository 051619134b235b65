/**
 * From a call to its answer: what it says is checked, its handler answers, and what was done goes into the audit log.
 * Whether the caller may make it was decided before: ../dispatch.ts.
 */
import type { Audit, Operation } from "../../contract/operation.ts";
import type { Failure } from "../../oci/errors.ts";
import { nextPageLink } from "../../oci/http.ts";
import { audit } from "../auth/audit.ts";
import type { Answer, Context } from "../context.ts";
import { jsonReply } from "../respond.ts";
import { type ParsedCall, parseCall } from "./parse-call.ts";

/** What any handler replies with: of no operation in particular. */
type AnyReply = {
  status: number;
  body?: unknown;
  next?: string;
  audited?: Record<string, string | undefined>;
  ready?: Promise<unknown>;
};

/** A handler of no operation in particular. */
export type AnyHandler = (call: Omit<Context, "params"> & ParsedCall) => Promise<Failure | AnyReply>;

/** Lets a handler answer the call of an operation. */
export async function perform(context: Context, operation: Operation, handler: AnyHandler): Promise<Answer> {
  const parsed = await parseCall(context, operation);
  if (!parsed.ok) return parsed;
  const { call } = parsed;
  const reply = await handler({ ...context, ...call });
  if ("ok" in reply) return reply;
  if ("audit" in operation && operation.audit !== "none") {
    const { action, detail, ...named } = reply.audited ?? {};
    const entry = entryOf(operation.audit, action, { ...call.params, ...named });
    audit(context, { ...entry, outcome: "done", ...(detail === undefined ? {} : { detail }) });
  }
  await reply.ready;
  const { status, body, next } = reply;
  if (body === undefined) return { status };
  const link =
    next === undefined || call.page === undefined
      ? {}
      : { Link: nextPageLink(context.url, { limit: call.page.limit, last: next }) };
  return { ...jsonReply(body, link), status };
}

/** The action and target of an entry. What is in braces in a target is a value of this name. */
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
