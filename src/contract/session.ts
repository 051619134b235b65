/** `/session`, `/info`, `/account`: who a browser is signed in as, and what it shows of the registry. */
import * as v from "valibot";
import { passwordLength } from "./accounts.ts";
import type { Resource } from "./operation.ts";
import { count, grants, must, text, time } from "./schemas.ts";

/** The registry, as far as a page about it needs to know. */
export const info = v.object({
  version: v.string(),
  publicUrl: v.optional(v.pipe(v.string(), v.description("`PUBLIC_URL`; where it is not set, left out."))),
  graceSeconds: v.pipe(count, v.description("How long what was deleted can be restored: `GC_GRACE`.")),
  tagHistorySeconds: v.pipe(count, v.description("How long moves of tags are kept: `TAG_HISTORY_DAYS`.")),
});

/** Who the caller is. */
export const session = v.object({
  account: v.pipe(
    v.nullable(v.string()),
    v.description("Null for a caller without a credential, and in an open registry."),
  ),
  isOpen: v.pipe(v.boolean(), v.description("Whether the registry is open: everybody may do everything.")),
  isAdministrator: v.boolean(),
  isToken: v.pipe(v.boolean(), v.description("Whether the credential is a generated token.")),
  grants: v.pipe(
    v.array(grants),
    v.description("Sets of grants. An action is allowed if each of the sets allows it."),
  ),
  endsAt: v.optional(v.pipe(time, v.description("When the session ends, if the caller has one."))),
  registry: v.pipe(
    info,
    v.description("The answer of `/info`, so that a page need not ask for that as well."),
  ),
});

/** How to sign in. */
const sessionPost = v.strictObject({
  account: text,
  password: must("a text", v.pipe(v.string(), v.description("A password, or a generated token."))),
});

/** A new password, with the current one. */
const passwordPut = v.strictObject({
  current: must("a text", v.pipe(v.string(), v.description("The current password."))),
  password: must(
    `a text of ${passwordLength.least} to ${passwordLength.most} characters`,
    v.pipe(
      v.string(),
      v.minLength(passwordLength.least),
      v.maxLength(passwordLength.most),
      v.description("The new one: 12 to 512 characters."),
    ),
  ),
});

export const sessions = {
  "/session": {
    name: "session",
    GET: {
      id: "getSession",
      summary: "Says who the caller is, and what they may do",
      access: "everybody",
      answers: { 200: { description: "The caller", body: session } },
    },
    POST: {
      id: "signIn",
      summary: "Signs a browser in: sets a cookie that lasts 12 hours",
      details:
        "The cookie counts below `/api/v1` alone, and only for requests of the registry's own pages. It ends with the password that it was made with. Only over https, or on this machine.",
      access: "everybody",
      audit: "none",
      body: sessionPost,
      answers: { 200: { description: "Signed in", body: session } },
      errors: ["LOGIN_FAILED", "TOOMANYREQUESTS", "CONNECTION_INSECURE"],
    },
    DELETE: {
      id: "signOut",
      summary: "Signs a browser out: removes the cookie",
      access: "everybody",
      audit: "none",
      answers: { 204: { description: "Signed out" } },
    },
  },
  "/info": {
    name: "info",
    GET: {
      id: "getInfo",
      summary: "Says which release this is, and how long things are kept",
      access: "everybody",
      answers: { 200: { description: "The registry", body: info } },
    },
  },
  "/account/password": {
    name: "own-password",
    PUT: {
      id: "putOwnPassword",
      summary: "Changes the caller's own password",
      details:
        "Ends all sessions and refresh tokens of the account, but for the session that changes it. The password of `admin` is the secret ADMIN_PASSWORD, which only a deployment changes.",
      access: "any account",
      audit: { action: "account.password", target: "{account}" },
      body: passwordPut,
      answers: { 204: { description: "Changed" } },
      errors: ["LOGIN_FAILED", "TOOMANYREQUESTS"],
    },
  },
} as const satisfies Resource;
