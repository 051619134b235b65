/** `/keys`: the keys that sign bearer tokens. */
import * as v from "valibot";
import type { Resource } from "./operation.ts";

/** The ids of the keys. */
export const signingKeys = v.object({ signing: v.string(), verifying: v.array(v.string()) });

export const keys = {
  "/keys/rotate": {
    name: "rotate-keys",
    POST: {
      id: "rotateKeys",
      summary: "Makes a new key that signs tokens",
      details: "Tokens that keys before it have signed stay good.",
      access: "administrator",
      audit: { action: "keys.rotate", target: "{key}" },
      answers: { 200: { description: "The ids of the keys, newest first", body: signingKeys } },
    },
  },
} as const satisfies Resource;
