/** The parameters that paths have, by their names. */
import * as v from "valibot";
import { digest, refusedAs, repositoryName, tag, text } from "./schemas.ts";

/** Of each what it is, and the schema that what the path says must meet. */
export const parameters = {
  account: { description: "The name of an account.", schema: text },
  token: { description: "The id of a token.", schema: text },
  name: {
    description:
      "The name of a repository, such as `team/app`. Its slashes are slashes of the path: they are not percent-encoded.",
    schema: repositoryName,
  },
  digest: { description: "A digest, such as `sha256:…`.", schema: digest },
  reference: { description: "A tag or a digest.", schema: text },
  tag: { description: "A tag.", schema: tag },
  upload: {
    description: "The id of an upload.",
    // Each id makes an object where there is none.
    schema: refusedAs({ error: "BLOB_UPLOAD_UNKNOWN" }, v.pipe(v.string(), v.uuid())),
  },
  upstream: {
    description: "The id of an upstream.",
    schema: text,
  },
  webhook: { description: "The id of a webhook.", schema: text },
  event: { description: "The id of an event.", schema: text },
} as const;

/** The name of a parameter. */
export type ParameterName = keyof typeof parameters;
