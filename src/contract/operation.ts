/**
 * What an operation of the management API is: who may call it, what it takes, what it answers, and what of it is
 * audited. Each is declared once, in the file of its resource. Routes, authorisation, parsing, audit, docs/openapi.json,
 * the tables of docs/api.md and the types of the command line follow from the declaration.
 */
import type { GenericSchema, InferInput, InferOutput, ObjectEntries, StrictObjectSchema } from "valibot";
import type { ErrorName } from "../oci/errors.ts";
import type { Verb } from "../oci/grant.ts";
import type { parameters } from "./parameters.ts";

/**
 * Who may call an operation. Administrators may call every operation. Who else may:
 * - `administrator`: nobody else;
 * - `own account`: the account that the path names, by its password;
 * - `own token`: also the generated token that the path names;
 * - `everybody`: all callers, with or without credentials;
 * - `any account`: everybody who has credentials;
 * - `{ repository }`: everybody whose grants allow this verb on the repository that the path names. A public repository
 *   may be pulled by everybody; where `byGrant` is set, that is not enough.
 *
 * A generated token may do less than its account, so it does not count as the account here.
 */
export type AccessRule =
  | "administrator"
  | "own account"
  | "own token"
  | "everybody"
  | "any account"
  | { readonly repository: Verb; readonly byGrant?: true };

/**
 * The entry of the audit log for what was done. Of several actions the handler says which one it was. `target` has
 * parameters of the path in braces; what else is in braces the handler gives.
 */
export type Audit = { readonly action: string | readonly string[]; readonly target: string };

/**
 * How a list is paged: at most so many entries a page, and what `last` is. `none`: there is but one page, of the first.
 */
export type Paging = { readonly most: number; readonly last: "text" | "integer" | "none" };

/**
 * A way to answer: with `body` as JSON; with `content` as the bytes of something that was pushed, of this media type
 * (any: of its own); or, without either, with nothing.
 */
export type AnswerDeclaration = {
  readonly description: string;
  readonly body?: GenericSchema;
  readonly content?: string;
};

/** An answer with the bytes of something that was pushed, and the headers that describe it. */
export type ContentAnswer = {
  readonly headers?: Record<string, string>;
  readonly body?: ReadableStream | Uint8Array | string;
  readonly contentLength?: number;
};

type Declaration = {
  /** The operation's name in OpenAPI, where it is unique. */
  readonly id: string;
  /** What it does, in the third person, without a full stop. */
  readonly summary: string;
  /** More for the documents, in sentences. */
  readonly details?: string;
  readonly access: AccessRule;
  readonly query?: { readonly [name: string]: GenericSchema };
  readonly page?: Paging;
  /** By status. */
  readonly answers: { readonly [status: number]: AnswerDeclaration };
  /** Errors besides those that follow from the rest. */
  readonly errors?: readonly ErrorName[];
};

/** An operation that changes nothing, and is not audited. */
export type ReadOperation = Declaration;

/** A body: an object of these fields, and no other, so that one that is misspelt is not passed over. */
export type BodySchema = StrictObjectSchema<ObjectEntries, undefined>;

/** An operation that may change something. What it does not audit, it says. */
export type WriteOperation = Declaration & {
  readonly audit: Audit | "none";
  readonly body?: BodySchema;
  /** Whether no body at all stands for one without fields. */
  readonly isBodyOptional?: true;
  /** Whether it works from cursor to cursor, and may be called again with any of them: a client repeats a broken call. */
  readonly isRepeatable?: true;
};

/** Any operation. */
export type Operation = ReadOperation | WriteOperation;

/** The methods that operations have; GET also answers HEAD. */
export const methods = ["GET", "POST", "PUT", "PATCH", "DELETE"] as const;

/** One of {@link methods}. */
export type Method = (typeof methods)[number];

/** A path with its operations, and how logs and metrics call it. */
export type Endpoint = {
  readonly name: string;
  readonly GET?: ReadOperation;
  readonly POST?: WriteOperation;
  readonly PUT?: WriteOperation;
  readonly PATCH?: WriteOperation;
  readonly DELETE?: WriteOperation;
};

type OfRepository<O> = O & { readonly access: { readonly repository: Verb } };

/** A path below one repository: each of its operations needs something on that repository. */
type RepositoryEndpoint = {
  readonly name: string;
  readonly GET?: OfRepository<ReadOperation>;
  readonly POST?: OfRepository<WriteOperation>;
  readonly PUT?: OfRepository<WriteOperation>;
  readonly PATCH?: OfRepository<WriteOperation>;
  readonly DELETE?: OfRepository<WriteOperation>;
};

/** The endpoints of a resource by their paths, below `/api/v1`. Parameters are in braces: {@link parameters}. */
export type Resource = {
  readonly [path: `/${string}`]: Endpoint;
  readonly [path: `${string}{name}${string}`]: RepositoryEndpoint;
};

/** Where the management API is. */
export const apiRoot = "/api/v1";

/** The names in braces in a text. */
export type NamesIn<Text> = Text extends `${string}{${infer Name}}${infer Rest}`
  ? Name | NamesIn<Rest>
  : never;

type Parameters = typeof parameters;

/** The parameters of a path, checked. */
export type ParametersOf<Path> = {
  [Name in NamesIn<Path>]: Name extends keyof Parameters ? InferOutput<Parameters[Name]["schema"]> : never;
};

/** What a query has besides the page, checked. */
export type QueryOf<O> = O extends { readonly query: infer Query extends Record<string, GenericSchema> }
  ? { [Name in keyof Query]: InferOutput<Query[Name]> }
  : Record<never, never>;

/** The page that is asked for. Where `last` is a number, it is the largest where none is given. */
export type PageOf<O> = O extends { readonly page: { readonly last: infer Last } }
  ? Last extends "integer"
    ? { limit: number; last: number }
    : { limit: number; last: string }
  : undefined;

/** A body, checked. */
export type BodyOf<O> = O extends { readonly body: infer Body extends GenericSchema }
  ? InferOutput<Body>
  : undefined;

/** A body as callers write it. */
export type SentBodyOf<O> = O extends { readonly body: infer Body extends GenericSchema }
  ? InferInput<Body>
  : undefined;

type BodyOfAnswer<A> = A extends { readonly content: string }
  ? ContentAnswer
  : A extends { readonly body: infer Body extends GenericSchema }
    ? InferOutput<Body>
    : undefined;

/** What an operation answers with, by status. */
export type AnswersOf<O> = O extends { readonly answers: infer Answers }
  ? { [Status in keyof Answers]: BodyOfAnswer<Answers[Status]> }
  : never;

/** What a call that is no error is answered with, whatever its status. */
export type AnswerOf<O> = AnswersOf<O>[keyof AnswersOf<O>];

/** What a handler says for the audit log: what the declaration leaves open, and a detail if it likes. */
export type AuditedOf<Path, O> = O extends {
  readonly audit: { readonly action: infer Action; readonly target: infer Target };
}
  ? { detail?: string | undefined } & (Action extends readonly (infer One)[] ? { action: One } : unknown) & {
        [Name in Exclude<NamesIn<Target>, NamesIn<Path>>]: string;
      }
  : never;
