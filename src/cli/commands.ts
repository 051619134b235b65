/** Every command, as a table. */
import type { Command, Flag } from "./command.ts";
import { accountCommands } from "./commands/accounts.ts";
import { auditCommand } from "./commands/audit.ts";
import { backupCommands } from "./commands/backup.ts";
import { completionCommand } from "./commands/completion.ts";
import { copyCommands } from "./commands/copy.ts";
import { explainCommand } from "./commands/explain.ts";
import { gcCommands } from "./commands/gc.ts";
import { healthCommand } from "./commands/health.ts";
import { historyCommands } from "./commands/history.ts";
import { keysCommand } from "./commands/keys.ts";
import { manifestCommands } from "./commands/manifests.ts";
import { policyCommands } from "./commands/policies.ts";
import { proxyCommands } from "./commands/proxy.ts";
import { rebuildCommands } from "./commands/rebuild.ts";
import { repositoryCommands } from "./commands/repositories.ts";
import { scrubCommand } from "./commands/scrub.ts";
import { searchCommands } from "./commands/search.ts";
import { serveCommand } from "./commands/serve.ts";
import { settingsCommand } from "./commands/settings.ts";
import { tokenCommands } from "./commands/tokens.ts";
import { uploadCommands } from "./commands/uploads.ts";
import { upstreamCommands } from "./commands/upstreams.ts";
import { usageCommand } from "./commands/usage.ts";
import { webhookCommands } from "./commands/webhooks.ts";

export const commands: Command[] = [
  serveCommand,
  settingsCommand,
  healthCommand,
  ...accountCommands,
  ...tokenCommands,
  ...repositoryCommands,
  ...manifestCommands,
  ...policyCommands,
  ...searchCommands,
  ...webhookCommands,
  explainCommand,
  auditCommand,
  keysCommand,
  ...gcCommands,
  usageCommand,
  scrubCommand,
  ...rebuildCommands,
  ...historyCommands,
  ...uploadCommands,
  ...upstreamCommands,
  ...backupCommands,
  ...copyCommands,
  ...proxyCommands,
  completionCommand(() => commands.map((command) => ({ ...command, flags: flagsOf(command) }))),
];

/** Flags that every command has. */
export const commonFlags: Flag[] = [
  { name: "url", value: "URL", summary: "the registry's address ($STOWAGE_URL, or http://127.0.0.1:5000)" },
  { name: "user", value: "NAME", summary: "who asks ($STOWAGE_USER, or admin)" },
  { name: "password-stdin", summary: "the user's password or token is on stdin (else $STOWAGE_PASSWORD)" },
  { name: "json", summary: "prints JSON" },
  { name: "version", summary: "shows which release this is" },
  { name: "help", summary: "shows this" },
];

/** The flags that a command takes, its own first. */
export function flagsOf({ flags, isOfAnyRegistry = false, readsItself = false }: Command): Flag[] {
  if (readsItself) return flags;
  const common = isOfAnyRegistry ? commonFlags.filter(({ name }) => !ofConnection.has(name)) : commonFlags;
  return [...flags, ...common];
}

/** What says which registry is meant, and who asks it. */
const ofConnection: ReadonlySet<string> = new Set(["url", "user", "password-stdin"]);
