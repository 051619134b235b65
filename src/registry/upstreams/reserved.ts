/**
 * Repositories that were pushed under the id of an upstream: they take no more pushes and are never asked for there, so
 * whoever runs the registry is told. Each isolate looks after its first answer, and then once an hour.
 */
import { log } from "../../log.ts";
import { hour } from "../../units.ts";
import type { Registry } from "../registry.ts";
import type { WaitUntil } from "../shared-calls.ts";
import { repositoriesBelow } from "./admin.ts";

const lookEveryMs = hour;

/** How many names a line of the log has at most. */
const mostNamed = 20;

/** What an isolate knows: when it last looked, and the ids under which something was pushed. */
type Known = { lookedAtMs: number; ids: string[] };

const known = new WeakMap<Registry, Known>();

/** The ids of upstreams under which repositories were pushed, as far as the isolate has looked. */
export function reservedIds(registry: Registry): string[] {
  return known.get(registry)?.ids ?? [];
}

/** Looks for such repositories, if there are upstreams and it is time to; logs what is found. */
export function tellReserved(registry: Registry, waitUntil: WaitUntil): void {
  const now = registry.clock.now();
  const last = known.get(registry);
  if (registry.settings.upstreams.length === 0) return;
  if (last !== undefined && now < last.lookedAtMs + lookEveryMs) return;
  const looking: Known = { lookedAtMs: now, ids: last?.ids ?? [] };
  known.set(registry, looking);
  const look = async () => {
    looking.ids = await findReserved(registry);
  };
  // Whoever comes an hour later looks again.
  waitUntil(look().catch((error) => log("warn", "reserved names not read", { error: String(error) })));
}

async function findReserved(registry: Registry): Promise<string[]> {
  const ids: string[] = [];
  for (const upstream of registry.settings.upstreams) {
    const below = await repositoriesBelow(registry, upstream);
    const names = below.filter(({ isCached }) => !isCached).map(({ name }) => name);
    if (names.length === 0) continue;
    ids.push(upstream.id);
    const facts = { upstream: upstream.id, count: names.length, repositories: names.slice(0, mostNamed) };
    log("warn", "pushed under the id of an upstream", facts);
  }
  return ids;
}
