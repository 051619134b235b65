/** Bugs on purpose that need no random program: a test of this name must fail. */

import { ofAlarms } from "./bugs-by-tests/alarms.ts";
import { ofEdge } from "./bugs-by-tests/edge.ts";
import { ofLinks } from "./bugs-by-tests/links.ts";
import { ofNames } from "./bugs-by-tests/names.ts";
import { ofPolicies } from "./bugs-by-tests/policies.ts";
import { ofProxy } from "./bugs-by-tests/proxy.ts";
import { ofReplica } from "./bugs-by-tests/replica.ts";
import { ofShards } from "./bugs-by-tests/shards.ts";
import type { TestedBug } from "./bugs-by-tests/tested-bug.ts";
import { ofUploads } from "./bugs-by-tests/uploads.ts";
import { ofUpstreams } from "./bugs-by-tests/upstreams.ts";

/** All of them, by what they come to. */
export const bugsByTests: Record<string, TestedBug> = {
  ...ofShards,
  ...ofLinks,
  ...ofNames,
  ...ofAlarms,
  ...ofReplica,
  ...ofUploads,
  ...ofPolicies,
  ...ofUpstreams,
  ...ofEdge,
  ...ofProxy,
};
