/**
 * What stores something is refused where the disk of one machine has no room for it: before its bytes are read, or as
 * soon as it fails for that.
 */
import { errorCatalogue, failure } from "../oci/errors.ts";
import { parseContentLength } from "../oci/http.ts";
import { type Answer, isRefusal, type RepositoryContext } from "./context.ts";
import type { RepositoryEndpoint } from "./route.ts";

/** Lets an endpoint answer, if there is room for what it stores. Error: `DISK_FULL`. */
export async function answerWithRoom(
  endpoint: RepositoryEndpoint,
  context: RepositoryContext,
): Promise<Answer> {
  const { space } = context.registry;
  if (endpoint.stores !== true || space === undefined) return endpoint.answer(context);
  const length = parseContentLength(context.request.headers.get("Content-Length")) ?? 0;
  if (!(await space.hasRoom(length))) return failure("DISK_FULL");
  try {
    const answer = await endpoint.answer(context);
    return hasFailed(answer) && (await space.explains(answer)) ? failure("DISK_FULL") : answer;
  } catch (error) {
    if (await space.explains(error)) return failure("DISK_FULL");
    throw error;
  }
}

/** Whether the registry could not do what was asked, through no fault of the client's. */
function hasFailed(answer: Answer): boolean {
  return isRefusal(answer) && errorCatalogue[answer.error].status >= 500;
}
