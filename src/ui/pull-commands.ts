/** Commands that pull, by tool. */

/** A tool, and its command for a reference. */
export type PullCommand = { tool: string; command: string };

/** The commands for an image or artifact; `separator` and `reference`: `:v1`, or `@sha256:…`. */
export function pullCommands(
  host: string,
  name: string,
  reference: string,
  kind: string | undefined,
): PullCommand[] {
  const isDigest = reference.includes(":");
  const address = `${host}/${name}${isDigest ? "@" : ":"}${reference}`;
  if (kind === "chart") {
    const version = isDigest ? address : `${host}/${name} --version ${reference.replaceAll("_", "+")}`;
    return [
      { tool: "helm", command: `helm pull oci://${version}` },
      { tool: "oras", command: `oras pull ${address}` },
    ];
  }
  if (kind !== undefined && kind !== "image" && kind !== "index") {
    return [
      { tool: "oras", command: `oras pull ${address}` },
      { tool: "crane", command: `crane manifest ${address}` },
    ];
  }
  return [
    { tool: "docker", command: `docker pull ${address}` },
    { tool: "podman", command: `podman pull ${address}` },
    { tool: "nerdctl", command: `nerdctl pull ${address}` },
    { tool: "ctr", command: `ctr image pull ${address}` },
    { tool: "crane", command: `crane pull ${address} image.tar` },
    { tool: "skopeo", command: `skopeo copy docker://${address} oci:image` },
    { tool: "Kubernetes", command: `image: ${address}` },
    { tool: "Dockerfile", command: `FROM ${address}` },
  ];
}
