/** The conditions of requests that change something. Source: RFC 9110, sections 13.1 and 13.2. */
import { type Failure, failure } from "./errors.ts";
import { entityTag, isMatchSatisfiedBy, isNoneMatchSatisfiedBy } from "./http.ts";
import type { Digest } from "./reference.ts";

/** The `If-Match` and `If-None-Match` headers of a request, as far as it has them. */
export type Precondition = { match: string | null; noneMatch: string | null };

/** The precondition of a request; `undefined` without one. */
export function preconditionOf(headers: Pick<Headers, "get">): Precondition | undefined {
  const [match, noneMatch] = [headers.get("If-Match"), headers.get("If-None-Match")];
  return match === null && noneMatch === null ? undefined : { match, noneMatch };
}

/**
 * Why content is not changed; `current` is its digest, or `undefined` where there is none yet. Dates are passed over, as
 * no answer has `Last-Modified`. Error: `PRECONDITION_FAILED`.
 */
export function refuseChange(
  precondition: Precondition | undefined,
  current: Digest | undefined,
): Failure | undefined {
  if (precondition === undefined) return undefined;
  const { match, noneMatch } = precondition;
  if (current === undefined) return match === null ? undefined : failure("PRECONDITION_FAILED");
  const tag = entityTag(current);
  const isMet = (match === null || isMatchSatisfiedBy(match, tag)) && !isNoneMatchSatisfiedBy(noneMatch, tag);
  return isMet ? undefined : failure("PRECONDITION_FAILED", { digest: current });
}
