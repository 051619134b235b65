/** All sections, in the order of the specifications. */
import * as api from "./sections/api.ts";
import * as cancelling from "./sections/cancelling-uploads.ts";
import * as checking from "./sections/checking-existence.ts";
import * as management from "./sections/content-management.ts";
import * as endpoints from "./sections/endpoints.ts";
import * as errors from "./sections/errors-and-warnings.ts";
import * as considerations from "./sections/image-spec-considerations.ts";
import * as descriptors from "./sections/image-spec-descriptors.ts";
import * as images from "./sections/image-spec-manifests.ts";
import * as referrers from "./sections/listing-referrers.ts";
import * as tags from "./sections/listing-tags.ts";
import * as mounting from "./sections/mounting-blobs.ts";
import * as proxying from "./sections/proxying-and-compatibility.ts";
import * as pullingBlobs from "./sections/pulling-blobs.ts";
import * as pullingManifests from "./sections/pulling-manifests.ts";
import * as push from "./sections/push.ts";
import * as chunks from "./sections/pushing-blobs-in-chunks.ts";
import * as monolithic from "./sections/pushing-blobs-monolithically.ts";
import * as manifests from "./sections/pushing-manifests.ts";
import * as subjects from "./sections/pushing-manifests-with-subject.ts";
import * as requirements from "./sections/requirements.ts";
import type { Section } from "./statement.ts";

/** The sections of each file of sections/. */
export const sectionsByFile: [file: string, sections: Section[]][] = [
  ["requirements.ts", [requirements.useCases, requirements.requirements]],
  ["pulling-manifests.ts", [pullingManifests.pullingManifests]],
  ["pulling-blobs.ts", [pullingBlobs.pullingBlobs]],
  ["checking-existence.ts", [checking.checkingExistence]],
  ["push.ts", [push.push]],
  ["pushing-blobs-monolithically.ts", [monolithic.postThenPut, monolithic.singlePost]],
  ["pushing-blobs-in-chunks.ts", [chunks.pushingBlobsInChunks]],
  ["cancelling-uploads.ts", [cancelling.cancellingUploads]],
  ["mounting-blobs.ts", [mounting.mountingBlobs]],
  ["pushing-manifests.ts", [manifests.pushingManifests]],
  ["pushing-manifests-with-subject.ts", [subjects.pushingManifestsWithSubject]],
  ["listing-tags.ts", [tags.listingTags]],
  ["listing-referrers.ts", [referrers.listingReferrers]],
  [
    "content-management.ts",
    [
      management.contentManagement,
      management.deletingTags,
      management.deletingManifests,
      management.deletingBlobs,
    ],
  ],
  [
    "proxying-and-compatibility.ts",
    [proxying.proxying, proxying.referrersTagSchema, proxying.enablingReferrers],
  ],
  ["api.ts", [api.determiningSupport]],
  ["endpoints.ts", [endpoints.endpoints]],
  ["errors-and-warnings.ts", [errors.legacy, errors.errorCodes, errors.warnings]],
  ["image-spec-descriptors.ts", [descriptors.descriptors]],
  ["image-spec-manifests.ts", [images.imageManifests, images.imageIndexes]],
  ["image-spec-considerations.ts", [considerations.considerations, considerations.nonDistributableLayers]],
];
