/** The types of handlers of the management API: their calls, validated against the contract, and their replies. */
import type {
  AnswersOf,
  AuditedOf,
  BodyOf,
  Method,
  NamesIn,
  PageOf,
  ParametersOf,
  QueryOf,
} from "../../contract/operation.ts";
import type { Failure } from "../../oci/errors.ts";
import type { RepositoryName } from "../../oci/reference.ts";
import type { Context, HeaderMap } from "../context.ts";

/** A call of an operation. The caller is authorised, and the parameters and body are validated. */
export type Call<Path, Operation> = Omit<Context, "params"> & {
  params: ParametersOf<Path>;
  query: QueryOf<Operation>;
  page: PageOf<Operation>;
  body: BodyOf<Operation>;
} & ("name" extends NamesIn<Path> ? { repository: RepositoryName } : unknown);

/** A reply: one of the answers that the contract declares. */
export type Reply<Path, Operation> = Answered<AnswersOf<Operation>> &
  Noted<AuditedOf<Path, Operation>> & {
    /** The answer waits for this after the audit entry was written. */
    ready?: Promise<unknown>;
    headers?: HeaderMap;
  } & (PageOf<Operation> extends undefined
    ? unknown
    : {
        /** The entry after which the next page begins; `undefined` if this page is the last. */
        next?: string | undefined;
      });

type Answered<Answers> = {
  [Status in keyof Answers]: Answers[Status] extends undefined
    ? { status: Status }
    : { status: Status; body: Answers[Status] };
}[keyof Answers];

/** The fields that a reply must or may give for the audit log. */
type Noted<Audited> = [Audited] extends [never]
  ? unknown
  : Record<never, never> extends Audited
    ? { audited?: Audited }
    : { audited: Audited };

/** Answers a call, or returns why it failed. */
export type Handler<Path, Operation> = (
  call: Call<Path, Operation>,
) => Promise<Failure | Reply<Path, Operation>>;

/** A handler for every operation of a resource, and no other. */
export type HandlersOf<Resource> = {
  [Path in keyof Resource]: {
    [M in keyof Resource[Path] & Method]: Handler<Path, Resource[Path][M]>;
  };
};
