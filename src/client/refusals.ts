/** The errors in an answer. Source: distribution-spec, "Error Codes". */
import { RegistryError } from "./errors.ts";
import { discard, readWhole } from "./exchange.ts";
import { retryAfterMs } from "./retry.ts";

const maxErrorBytes = 64 * 1024;
const maxReasonLength = 500;

type OciErrors = {
  errors?: { code?: unknown; message?: unknown; detail?: unknown }[] | null;
  details?: unknown;
};

/** The code and the words of an error's body; without a reason it is none of a registry's. */
export function reasonIn(body: Uint8Array): { code?: string | undefined; reason?: string } {
  let json: OciErrors | null;
  try {
    json = JSON.parse(new TextDecoder().decode(body));
  } catch {
    return {};
  }
  const errors = Array.isArray(json?.errors) ? json.errors : [];
  const told = errors.flatMap((error) => {
    const [code, message] = [textOf(error?.code), textOf(error?.message)];
    return code === undefined && message === undefined ? [] : [{ code, text: message ?? code ?? "" }];
  });
  // Token services of others answer like this.
  if (told.length === 0) {
    const details = textOf(json?.details);
    return details === undefined ? {} : { reason: details.slice(0, maxReasonLength) };
  }
  const reason = told.map(({ text }) => text).join("; ");
  return { code: told[0]?.code, reason: reason.slice(0, maxReasonLength) };
}

function textOf(value: unknown): string | undefined {
  return typeof value === "string" && value !== "" ? value : undefined;
}

/** The error that an answer is. `method`: of the request, as an answer to HEAD has no words. */
export async function refusalOf(method: string, registry: URL, response: Response): Promise<RegistryError> {
  const { status } = response;
  const body =
    method === "HEAD" || response.body === null
      ? undefined
      : await readWhole(response, maxErrorBytes).catch(() => undefined);
  if (body === undefined) await discard(response);
  const { code, reason } = body === undefined ? {} : reasonIn(body);
  const facts = { status, code, retryAfterMs: retryAfterMs(response) };
  // A server in front of a registry has errors of its own, and an answer to HEAD has no text.
  if (reason === undefined && method !== "HEAD" && status < 500 && status !== 401 && status !== 429) {
    return new RegistryError(
      status === 413 ? "refused" : "foreign",
      status === 413
        ? `${registry.host} takes no body of this size (status 413)`
        : `${registry.host} does not answer as a registry does (status ${status})`,
      facts,
    );
  }
  const said = reason ?? `${registry.host} answers with status ${status}`;
  return new RegistryError("refused", said, facts);
}
