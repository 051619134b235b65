/** How the image is confined: one list for docker, for what the chart asks of a cluster, and for the Compose file. */

/** The flags of `docker run`. */
export const confined = [
  "--read-only",
  "--cap-drop",
  "ALL",
  "--security-opt",
  "no-new-privileges",
  "--user",
  "65532:65532",
];

type SecurityContext = {
  runAsNonRoot?: boolean;
  runAsUser?: number;
  runAsGroup?: number;
  allowPrivilegeEscalation?: boolean;
  readOnlyRootFilesystem?: boolean;
  capabilities?: { drop?: string[] };
};

/** A pod, as far as it says how it is confined. */
export type Pod = {
  securityContext: SecurityContext;
  containers: { securityContext: SecurityContext }[];
};

/** What a pod asks for, as the flags of `docker run` that ask for the same. */
export function flagsOfPod({ securityContext: ofPod, containers }: Pod): string[] {
  const context = { ...ofPod, ...containers[0]?.securityContext };
  return [
    ...(context.readOnlyRootFilesystem === true ? ["--read-only"] : []),
    ...(context.capabilities?.drop ?? []).flatMap((name) => ["--cap-drop", name]),
    ...(context.allowPrivilegeEscalation === false ? ["--security-opt", "no-new-privileges"] : []),
    ...(context.runAsNonRoot === true ? ["--user", `${context.runAsUser}:${context.runAsGroup}`] : []),
  ];
}
