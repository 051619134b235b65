/**
 * Every error that a client can see, as data.
 *
 * Source: distribution-spec, "Error Codes". A `4xx` carries one of the specification's codes; where one code
 * stands for several conditions, each has an entry of its own with the same `code`. `UNAVAILABLE` and `UNKNOWN`
 * are for `5xx`, which the specification does not cover.
 */

type ErrorEntry = { code: string; status: number; message: string };

export const errorCatalogue = {
  BLOB_UNKNOWN: { code: "BLOB_UNKNOWN", status: 404, message: "the repository has no blob of this digest" },
  BLOB_REFERENCED: {
    code: "UNSUPPORTED",
    status: 405,
    message: "a manifest of the repository references this blob: delete the manifest first",
  },
  BLOB_UPLOAD_INVALID: { code: "BLOB_UPLOAD_INVALID", status: 400, message: "the upload request is invalid" },
  BLOB_UPLOAD_RANGE: {
    code: "BLOB_UPLOAD_INVALID",
    status: 416,
    message: "the chunk does not begin where the upload stands: go on from the offset in the Range header",
  },
  BLOB_UPLOAD_BUSY: {
    code: "BLOB_UPLOAD_INVALID",
    status: 409,
    message: "another request is writing to this upload: ask for its status, then go on from there",
  },
  BLOB_UPLOAD_TOO_LARGE: {
    code: "SIZE_INVALID",
    status: 413,
    message: "the blob is larger than an upload may become",
  },
  BLOB_UPLOAD_UNKNOWN: {
    code: "BLOB_UPLOAD_UNKNOWN",
    status: 404,
    message: "no such upload: it is unknown, cancelled, expired or finished",
  },
  DIGEST_INVALID: {
    code: "DIGEST_INVALID",
    status: 400,
    message: "the digest is malformed, of an unsupported algorithm, or not that of the content",
  },
  MANIFEST_BLOB_UNKNOWN: {
    code: "MANIFEST_BLOB_UNKNOWN",
    status: 404,
    message: "the manifest references blobs or manifests that the repository does not have: push them first",
  },
  MANIFEST_INVALID: { code: "MANIFEST_INVALID", status: 400, message: "the manifest is invalid" },
  MANIFEST_TOO_LARGE: {
    code: "SIZE_INVALID",
    status: 413,
    message: "the manifest is larger than 4 MiB",
  },
  MANIFEST_UNKNOWN: {
    code: "MANIFEST_UNKNOWN",
    status: 404,
    message: "the repository has no manifest of this tag or digest",
  },
  TAG_MOVE_UNKNOWN: {
    code: "MANIFEST_UNKNOWN",
    status: 404,
    message: "the tag's history has nothing like that to go back to",
  },
  TAG_INVALID: { code: "MANIFEST_INVALID", status: 400, message: "the tag is malformed" },
  NAME_INVALID: { code: "NAME_INVALID", status: 400, message: "the repository name is malformed" },
  NAME_UNKNOWN: { code: "NAME_UNKNOWN", status: 404, message: "the registry has no such repository" },
  DELETION_UNKNOWN: {
    code: "NAME_UNKNOWN",
    status: 404,
    message: "no repository of this name was deleted, or too long ago to be restored",
  },
  UPSTREAM_UNKNOWN: {
    code: "NAME_UNKNOWN",
    status: 404,
    message: "this registry is not the one that ns names, and does not cache it",
  },
  UPSTREAM_READ_ONLY: {
    code: "UNSUPPORTED",
    status: 405,
    message: "this is the cache of another registry: push there",
  },
  UPSTREAM_DECIDES: {
    code: "UNSUPPORTED",
    status: 405,
    message: "who may pull a cached repository is said by its upstream in UPSTREAMS",
  },
  UPSTREAM_RESERVED: {
    code: "DENIED",
    status: 409,
    message: "names that begin like this are for the cache of an upstream: push under another name",
  },
  SIZE_INVALID: {
    code: "SIZE_INVALID",
    status: 400,
    message: "the length announced is not the length received",
  },
  PAGE_INVALID: {
    code: "UNSUPPORTED",
    status: 400,
    message: "n must be a whole number, zero or more, and last a name, or what an earlier page gave",
  },
  PRECONDITION_FAILED: {
    code: "UNSUPPORTED",
    status: 412,
    message: "what is here is not what If-Match or If-None-Match demands",
  },
  RANGE_UNSATISFIABLE: {
    code: "SIZE_INVALID",
    status: 416,
    message: "no byte of the requested range is in the blob",
  },
  UNAUTHORIZED: { code: "UNAUTHORIZED", status: 401, message: "authentication is required" },
  DENIED: { code: "DENIED", status: 403, message: "access is denied" },
  TAG_IMMUTABLE: {
    code: "DENIED",
    status: 409,
    message: "a policy keeps this tag as it is: push under another tag, or have an administrator override it",
  },
  TAG_REFUSED: { code: "DENIED", status: 403, message: "no policy allows a tag of this name" },
  NAME_REFUSED: { code: "DENIED", status: 403, message: "no policy allows a new repository of this name" },
  RUN_UNKNOWN: {
    code: "UNSUPPORTED",
    status: 409,
    message: "no run of retention waits here to be confirmed",
  },
  POLICIES_CHANGED: {
    code: "UNSUPPORTED",
    status: 412,
    message: "the policies have changed meanwhile: read them again, and change what is there now",
  },
  HOST_UNKNOWN: {
    code: "DENIED",
    status: 421,
    message:
      "this registry is open to everybody, so it is reached only as localhost, 127.0.0.1, [::1] or a name in OPEN_HOSTS",
  },
  SITE_FOREIGN: {
    code: "DENIED",
    status: 403,
    message: "a page of another site made a browser send this",
  },
  LOGIN_FAILED: { code: "UNAUTHORIZED", status: 401, message: "unknown account or wrong password" },
  PASSWORD_WRONG: { code: "DENIED", status: 403, message: "the current password is wrong" },
  CONNECTION_INSECURE: {
    code: "DENIED",
    status: 403,
    message: "browsers keep a session only over https, or on the machine of the registry itself",
  },
  TOKEN_INVALID: { code: "UNAUTHORIZED", status: 401, message: "the token is invalid or has expired" },
  SCOPE_INSUFFICIENT: { code: "UNAUTHORIZED", status: 401, message: "the token is not for this" },
  GRANT_UNSUPPORTED: {
    code: "UNSUPPORTED",
    status: 400,
    message: "grant_type must be password or refresh_token",
  },
  ACCOUNT_UNKNOWN: { code: "NAME_UNKNOWN", status: 404, message: "there is no such account" },
  ACCOUNT_TOKEN_UNKNOWN: { code: "NAME_UNKNOWN", status: 404, message: "the account has no such token" },
  UPSTREAM_ID_UNKNOWN: { code: "NAME_UNKNOWN", status: 404, message: "there is no such upstream" },
  WEBHOOK_UNKNOWN: { code: "NAME_UNKNOWN", status: 404, message: "there is no such webhook" },
  DEAD_LETTER_UNKNOWN: { code: "NAME_UNKNOWN", status: 404, message: "the webhook has no such dead letter" },
  REQUEST_INVALID: { code: "UNSUPPORTED", status: 400, message: "the request is not as documented" },
  ROUTE_UNKNOWN: { code: "UNSUPPORTED", status: 404, message: "the registry has no such endpoint" },
  METHOD_UNSUPPORTED: {
    code: "UNSUPPORTED",
    status: 405,
    message: "the endpoint does not support this method",
  },
  TOOMANYREQUESTS: { code: "TOOMANYREQUESTS", status: 429, message: "too many requests: slow down" },
  // The specification has no code for it, and leaves 5xx free. Of its 4xx codes none is true: DENIED and
  // TOOMANYREQUESTS are about the client, SIZE_INVALID about the content. Clients know distribution's UNAVAILABLE.
  DISK_FULL: {
    code: "UNAVAILABLE",
    status: 507,
    message:
      "no space left on the registry's disk: it takes pushes again once something is deleted and an administrator has run `stowage gc --now`",
  },
  REPOSITORY_FULL: {
    code: "UNAVAILABLE",
    status: 507,
    message:
      "the repository has as many manifests and tags as it can hold: push to another one, or delete some and have an administrator run `stowage gc --now`",
  },
  UPSTREAM_LIMITED: {
    code: "TOOMANYREQUESTS",
    status: 429,
    message: "the upstream takes no more requests of this registry for a while",
  },
  UPSTREAM_UNREACHABLE: {
    code: "UNAVAILABLE",
    status: 503,
    message: "this is not cached, and the upstream cannot be reached now: try again",
  },
  UPSTREAM_INVALID: {
    code: "UNAVAILABLE",
    status: 502,
    message: "this is not cached, and what the upstream sent is not what it should be",
  },
  LATER_DATA: {
    code: "UNAVAILABLE",
    status: 503,
    message:
      "a later release of the registry wrote what this needs, and the one that runs cannot read it: an administrator has to deploy the later release again",
  },
  UNAVAILABLE: { code: "UNAVAILABLE", status: 503, message: "the registry cannot answer now: try again" },
  UNKNOWN: { code: "UNKNOWN", status: 500, message: "the registry failed" },
} as const satisfies Record<string, ErrorEntry>;

/** The name of an entry of the catalogue. */
export type ErrorName = keyof typeof errorCatalogue;

/** The detail of an error: a sentence, named facts, or a list of the digests or tags that it is about. */
type Detail = string | { readonly [fact: string]: unknown } | readonly object[];

/** Details that code depends on: these errors always have them. */
interface NeededDetails {
  /** How many bytes the upload has. */
  BLOB_UPLOAD_RANGE: { offset: number };
  /** The size of the blob. */
  RANGE_UNSATISFIABLE: { sizeBytes: number };
  /** When to try again. */
  UPSTREAM_LIMITED: { upstream: string; retryAfterSeconds: number };
  UPSTREAM_UNREACHABLE: { upstream: string; retryAfterSeconds: number };
}

type FailureOf<Name extends ErrorName> = Name extends keyof NeededDetails
  ? { ok: false; error: Name; detail: NeededDetails[Name] }
  : { ok: false; error: Name; detail?: Detail };

/** An error: its name in the catalogue, with details that are shown to the client. */
export type Failure = { [Name in ErrorName]: FailureOf<Name> }[ErrorName];

/** Why a value is rejected, in words that follow its name: `must be a whole number`. */
export type Rejection<Reason = string> = { ok: false; reason: Reason };

/**
 * The outcome of an operation: its result, or by default the error that the client gets. Plain data, so it may cross
 * RPC.
 */
export type Result<T extends object = object, No extends { ok: false } = Failure> = ({ ok: true } & T) | No;

/** Makes a failure. `detail` is shown to the client as it is. */
export function failure<Name extends ErrorName>(
  error: Name,
  ...[detail]: Name extends keyof NeededDetails ? [NeededDetails[Name]] : [detail?: Detail]
): FailureOf<Name> {
  return (detail === undefined ? { ok: false, error } : { ok: false, error, detail }) as FailureOf<Name>;
}

/** Whether an error means that the requested content does not exist. */
export function isAbsence(error: ErrorName): boolean {
  return errorCatalogue[error].status === 404;
}
