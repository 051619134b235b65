/** What handles an operation of the management API: its call, checked as the contract says, and its reply. */
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
import type { Context } from "../context.ts";

/** A call of an operation. Whoever makes it may, and all that it says is as the contract has it. */
export type Call<Path, Operation> = Omit<Context, "params"> & {
  params: ParametersOf<Path>;
  query: QueryOf<Operation>;
  page: PageOf<Operation>;
  body: BodyOf<Operation>;
} & ("name" extends NamesIn<Path> ? { repository: RepositoryName } : unknown);

/** What is answered, by one of the ways that the contract knows. */
export type Reply<Path, Operation> = Answered<AnswersOf<Operation>> &
  Noted<AuditedOf<Path, Operation>> & {
    /** The answer waits for this, once what was done is noted. */
    ready?: Promise<unknown>;
  } & (PageOf<Operation> extends undefined
    ? unknown
    : {
        /** What the page after this one begins after; `undefined` where this is the last. */
        next?: string | undefined;
      });

type Answered<Answers> = {
  [Status in keyof Answers]: Answers[Status] extends undefined
    ? { status: Status }
    : { status: Status; body: Answers[Status] };
}[keyof Answers];

/** Whether something must be said for the audit log, or may be. */
type Noted<Audited> = [Audited] extends [never]
  ? unknown
  : Record<never, never> extends Audited
    ? { audited?: Audited }
    : { audited: Audited };

/** Answers a call, or says why not. */
export type Handler<Path, Operation> = (
  call: Call<Path, Operation>,
) => Promise<Failure | Reply<Path, Operation>>;

/** A handler for every operation of a resource, and no other. */
export type HandlersOf<Resource> = {
  [Path in keyof Resource]: {
    [M in keyof Resource[Path] & Method]: Handler<Path, Resource[Path][M]>;
  };
};
