/**
 * Whether everything that the registry is made of answers.
 */
import type { Digest } from "../oci/digest.ts";
import type { RepositoryName } from "../oci/name.ts";
import type { Registry } from "./registry.ts";

/** What one part answered, and how long it took. */
export type Check = { part: string; ok: boolean; milliseconds: number };

/** How long a part may take. */
const limitMs = 3000;

/** How long an isolate takes the last answers for those of now: anybody may ask. */
const rememberedMs = 5000;

const nobody = "health-check" as RepositoryName;
const nothing = `sha256:${"0".repeat(64)}` as Digest;

/** Asks each binding for something that is not there, which reads, and writes nothing. */
function parts(registry: Registry): Record<string, () => Promise<unknown>> {
  const { replica } = registry;
  const session = {
    id: "00000000-0000-0000-0000-000000000000",
    repository: nobody,
    algorithm: "sha256",
  } as const;
  return {
    ...(replica && { replica: () => replica.ping() }),
    bucket: () => registry.bucket.sizeOf("health-check"),
    catalog: () => registry.catalog().repository(nobody),
    repository: () => registry.ledger(nobody).info(),
    blobs: () => registry.shard(nothing).locate(nothing),
    upload: () => registry.upload(session.id).status(session, false),
    webhooks: () => registry.webhooks().pullPatterns(),
    "webhook queue": () => registry.webhookQueue("health-check").state(),
  };
}

const lastChecks = new WeakMap<Registry, { checks: Check[]; until: number }>();

/** Checks all parts at once. */
export async function checkHealth(registry: Registry): Promise<Check[]> {
  const now = registry.clock.now();
  const last = lastChecks.get(registry);
  if (last !== undefined && last.until > now) return last.checks;
  const checks = await Promise.all(
    Object.entries(parts(registry)).map(async ([part, ask]): Promise<Check> => {
      const startedAt = performance.now();
      const ok = await answersInTime(ask);
      return { part, ok, milliseconds: Math.round((performance.now() - startedAt) * 10) / 10 };
    }),
  );
  lastChecks.set(registry, { checks, until: now + rememberedMs });
  return checks;
}

async function answersInTime(ask: () => Promise<unknown>): Promise<boolean> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<boolean>((resolve) => {
    timer = setTimeout(() => resolve(false), limitMs);
  });
  const answered = ask().then(
    () => true,
    () => false,
  );
  try {
    return await Promise.race([answered, late]);
  } finally {
    clearTimeout(timer);
  }
}
