import assert from "node:assert/strict";
import { admin } from "../../support/closed-registry.ts";
import type { Section } from "../statement.ts";
import { library } from "../world.ts";

export const determiningSupport: Section = {
  document: "distribution-spec",
  title: "API and Determining Support",
  statements: [
    {
      id: "http-semantics",
      quote:
        "Where this specification does not define specific behavior, implementations SHOULD follow the HTTP semantics defined in [RFC 9110](https://www.rfc-editor.org/rfc/rfc9110).",
      choice:
        "`ETag` with `If-Match`, `If-None-Match` and `If-Range`, `Allow` with 405, `Retry-After` with 429 and 503, HEAD as GET. `If-Match` and `If-None-Match` of PUT and DELETE are evaluated for manifests and tags, and of DELETE for blobs; an upload has no entity tag.",
      check: async ({ registry, image }) => {
        for (const path of ["manifests/latest", `manifests/${image.digest}`, `blobs/${image.config}`]) {
          const target = `/v2/${library}/${path}`;
          const tag = (await registry.must(200, "GET", target)).header("ETag");
          for (const method of ["GET", "HEAD"]) {
            await registry.must(304, method, target, { headers: { "If-None-Match": tag } });
            await registry.must(412, method, target, { headers: { "If-Match": '"other"' } });
          }
        }
        for (const path of ["manifests/latest", `manifests/${image.digest}`]) {
          const headers = { "If-Match": '"other"' };
          await registry.must(412, "DELETE", `/v2/${library}/${path}`, { headers });
        }
        const wrong = await registry.must(405, "POST", `/v2/${library}/tags/list`);
        assert.equal(wrong.header("Allow"), "GET, HEAD");
      },
    },
    {
      id: "redirects",
      quote:
        "Registries MAY respond to any request with a redirect per [RFC 9110 (section 15.4)](https://www.rfc-editor.org/rfc/rfc9110#section-15.4)",
      choice: "It answers itself, blobs included.",
      check: async ({ registry, image }) => {
        for (const digest of image.layers) await registry.must(200, "GET", `/v2/${library}/blobs/${digest}`);
      },
    },
    {
      id: "base",
      quote: "If the response is `200 OK`, then the registry implements this specification.",
      check: async ({ registry }) => {
        await registry.must(200, "GET", "/v2/");
      },
    },
    {
      id: "base-authentication",
      quote:
        "This endpoint MAY be used for authentication/authorization purposes, but this is out of the purview of this specification.",
      choice: "Where there are accounts, it is 401 with a challenge to those who show none.",
      check: async ({ closed }) => {
        const challenge = await closed.must(401, "GET", "/v2/");
        assert.match(challenge.header("WWW-Authenticate"), /^Bearer realm="[^"]+",service="[^"]+"/);
        await closed.must(200, "GET", "/v2/", { as: admin });
      },
    },
  ],
  ofClients: [
    "clients SHOULD follow such redirects, and MUST NOT forward `Authorization` headers across host boundaries unless explicitly configured to do so.",
  ],
};
