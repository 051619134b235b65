/** The schemas of the contract as JSON Schema, those that have a name by reference. */
import {
  type ConversionConfig,
  type JsonSchema,
  toJsonSchema,
  toJsonSchemaDefs,
} from "@valibot/to-json-schema";
import type * as v from "valibot";
import { account, accountPut } from "../../src/contract/accounts.ts";
import { auditEntry } from "../../src/contract/audit.ts";
import { deadLetter, wholeDeadLetter } from "../../src/contract/dead-letters.ts";
import { deletedIn, deletion, repositoryRestore } from "../../src/contract/deleted.ts";
import { explanation, question } from "../../src/contract/explain.ts";
import { freed } from "../../src/contract/gc.ts";
import { signingKeys } from "../../src/contract/keys.ts";
import { imageConfig, manifest, manifestDetails } from "../../src/contract/manifests.ts";
import {
  heldTag,
  repositoryPolicy,
  storedPolicies,
  tagOverride,
  triedRepository,
  verdict,
  waitingRun,
} from "../../src/contract/policies.ts";
import { policyDocument, policyRule } from "../../src/contract/policy-document.ts";
import {
  listedRepository,
  repository,
  repositoryDetails,
  repositoryPatch,
  visibility,
} from "../../src/contract/repositories.ts";
import { amount, grant, verb } from "../../src/contract/schemas.ts";
import { checked, finding } from "../../src/contract/scrub.ts";
import { tagDetails, tagEntry, tagMove, tagRestore } from "../../src/contract/tags.ts";
import { newToken, token, tokenPost } from "../../src/contract/tokens.ts";
import { openUpload } from "../../src/contract/uploads.ts";
import { repositoryUsage, totalUsage } from "../../src/contract/usage.ts";
import {
  delivery,
  eventType,
  newWebhook,
  webhook,
  webhookDetails,
  webhookPatch,
  webhookPost,
} from "../../src/contract/webhooks.ts";

const definitions = {
  Verb: verb,
  Grant: grant,
  Account: account,
  AccountPut: accountPut,
  Token: token,
  TokenPost: tokenPost,
  NewToken: newToken,
  Visibility: visibility,
  Repository: repository,
  ListedRepository: listedRepository,
  RepositoryDetails: repositoryDetails,
  RepositoryPatch: repositoryPatch,
  ManifestEntry: manifest,
  ManifestDetails: manifestDetails,
  ImageConfig: imageConfig,
  TagEntry: tagEntry,
  TagDetails: tagDetails,
  TagMove: tagMove,
  TagRestore: tagRestore,
  PolicyRule: policyRule,
  PolicyDocument: policyDocument,
  StoredPolicies: storedPolicies,
  RepositoryPolicy: repositoryPolicy,
  TagOverride: tagOverride,
  WaitingRun: waitingRun,
  HeldTag: heldTag,
  Verdict: verdict,
  TriedRepository: triedRepository,
  Question: question,
  Explanation: explanation,
  AuditEntry: auditEntry,
  EventType: eventType,
  Webhook: webhook,
  WebhookPost: webhookPost,
  WebhookPatch: webhookPatch,
  NewWebhook: newWebhook,
  WebhookDetails: webhookDetails,
  Delivery: delivery,
  DeadLetter: deadLetter,
  WholeDeadLetter: wholeDeadLetter,
  Keys: signingKeys,
  Freed: freed,
  OpenUpload: openUpload,
  Deletion: deletion,
  DeletedIn: deletedIn,
  RepositoryRestore: repositoryRestore,
  Amount: amount,
  RepositoryUsage: repositoryUsage,
  TotalUsage: totalUsage,
  Finding: finding,
  Checked: checked,
};

const config: ConversionConfig = {
  target: "draft-2020-12",
  // What callers write; answers are the same before and after they are checked.
  typeMode: "input",
  // Their descriptions say what no JSON Schema can.
  ignoreActions: ["guard", "check"],
  overrideRef: ({ referenceId }) => `#/components/schemas/${referenceId}`,
  overrideSchema: ({ valibotSchema }) => (valibotSchema.type === "custom" ? {} : undefined),
  overrideAction: ({ valibotAction, jsonSchema }) => {
    if (valibotAction.type !== "metadata") return undefined;
    const { refused: _, jsonSchema: given, ...rest } = jsonSchema as Record<string, unknown>;
    return { ...rest, ...(given as object | undefined) };
  },
};

/** A schema as JSON Schema. */
export function jsonSchemaOf(schema: v.GenericSchema): JsonSchema {
  const { $schema: _, $defs: __, ...rest } = toJsonSchema(schema, { ...config, definitions });
  return rest;
}

/** The schemas that have a name. */
export function namedSchemas(): Record<string, JsonSchema> {
  return toJsonSchemaDefs(definitions, config);
}
