/**
 * The whole contract of the management API, by resource. Where several paths match a request, the longest one counts
 * that has its method: names of repositories have slashes, and `{name}` is the shortest one that is possible.
 */
import { accounts } from "./accounts.ts";
import { audit } from "./audit.ts";
import { deadLetters } from "./dead-letters.ts";
import { deletedContent } from "./deleted.ts";
import { explain } from "./explain.ts";
import { gc } from "./gc.ts";
import { keys } from "./keys.ts";
import { manifests } from "./manifests.ts";
import { nameIndex } from "./name-index.ts";
import type { Method, Resource } from "./operation.ts";
import { policies } from "./policies.ts";
import { replica } from "./replica.ts";
import { repositories } from "./repositories.ts";
import { scrub } from "./scrub.ts";
import { search } from "./search.ts";
import { sessions } from "./session.ts";
import { tags } from "./tags.ts";
import { tokens } from "./tokens.ts";
import { uploads } from "./uploads.ts";
import { upstreams } from "./upstreams.ts";
import { usage } from "./usage.ts";
import { views } from "./views.ts";
import { webhooks } from "./webhooks.ts";

/** Every resource. */
export const contract = {
  accounts,
  sessions,
  search,
  tokens,
  manifests,
  tags,
  views,
  deletedContent,
  policies,
  repositories,
  explain,
  audit,
  webhooks,
  deadLetters,
  keys,
  gc,
  uploads,
  upstreams,
  usage,
  scrub,
  replica,
  nameIndex,
} as const satisfies Record<string, Resource>;

/** The name of a resource. */
export type ResourceName = keyof typeof contract;

type Intersection<Union> = (Union extends unknown ? (one: Union) => void : never) extends (
  all: infer All,
) => void
  ? All
  : never;

/** Every endpoint, by its path below `/api/v1`. */
export type Endpoints = Intersection<(typeof contract)[ResourceName]>;

/** The path of an endpoint. */
export type Path = keyof Endpoints & string;

/** The methods that a path has. */
export type MethodOf<P extends Path> = keyof Endpoints[P] & Method;

/** What is declared of a method of a path. */
export type OperationAt<P extends Path, M extends MethodOf<P>> = Endpoints[P][M];
