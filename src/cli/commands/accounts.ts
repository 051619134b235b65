/** `account …` */
import { randomBytes } from "node:crypto";
import type { Grant } from "../../oci/grant.ts";
import {
  adminName,
  type Command,
  exitCodes,
  type Flag,
  type FlagValues,
  type Invocation,
} from "../command.ts";
import { CommandError, UsageError } from "../errors.ts";
import { formatGrants, parseGrant, pathSegment } from "../format.ts";

const passwordFlags: Flag[] = [
  {
    name: "password-stdin-for-account",
    summary: "the account's password is on stdin: 12 characters or more",
  },
  { name: "generate-password", summary: "makes a password, and prints it on stdout" },
];

const enabledFlags: Flag[] = [
  { name: "disable", summary: "lets the account in no more; it keeps its grants and tokens" },
  { name: "enable", summary: "lets the account in again" },
];

const grantFlag: Flag = {
  name: "grant",
  value: "PATTERN:VERBS",
  isRepeatable: true,
  summary: "what the account may, such as 'team/**:pull,push'; may be repeated",
};

const path = "/accounts/{account}";

const named = (name: string) => ({ params: { account: pathSegment(name) } });

/** Says of an account that is unknown because it is the administrator's that it has no record. */
async function unlessAdmin<T>(name: string, answer: Promise<T>): Promise<T> {
  try {
    return await answer;
  } catch (error) {
    const isUnknown = error instanceof CommandError && error.code === "ACCOUNT_UNKNOWN";
    if (!isUnknown || name !== adminName) throw error;
    throw new CommandError("admin has no account record: its password is ADMIN_PASSWORD", error.status);
  }
}

/** Reads, makes, changes and deletes accounts. */
export const accountCommands: Command[] = [
  {
    name: "account list",
    arguments: [],
    flags: [],
    summary: "lists the accounts",
    run: async ({ api, output }) => {
      const accounts = await api.list("/accounts", "accounts", { query: { n: "1000" } });
      const columns = ["NAME", "STATE", "PASSWORD", "GRANTS"];
      output.list("there are no accounts", accounts, columns, ({ name, disabled, hasPassword, grants }) => [
        name,
        disabled ? "disabled" : "enabled",
        hasPassword ? "yes" : "no",
        formatGrants(grants),
      ]);
      return exitCodes.done;
    },
  },
  {
    name: "account show",
    arguments: ["ACCOUNT"],
    flags: [],
    summary: "shows an account",
    run: async ({ api, output, args: [name = ""] }) => {
      const account = await unlessAdmin(name, api.send("GET", path, named(name)));
      output.record(account, [
        ["name", account.name],
        ["state", account.disabled ? "disabled" : "enabled"],
        ["password", account.hasPassword ? "yes" : "no"],
        ["created", account.createdAt],
        ["grants", formatGrants(account.grants)],
      ]);
      return exitCodes.done;
    },
  },
  {
    name: "account create",
    arguments: ["ACCOUNT"],
    flags: [grantFlag, ...passwordFlags, ...enabledFlags.slice(0, 1)],
    summary: "makes an account",
    details: "Without a password nobody can log in to it but with its tokens, which is best for machines.",
    run: createAccount,
  },
  {
    name: "account set",
    arguments: ["ACCOUNT"],
    flags: [
      { ...grantFlag, summary: "what the account may from now on, in the place of all that it might before" },
      { ...grantFlag, name: "add-grant", summary: "what the account may from now on as well" },
      {
        ...grantFlag,
        name: "remove-grant",
        value: "PATTERN",
        summary: "takes away the grants of this pattern",
      },
      ...passwordFlags,
      ...enabledFlags,
    ],
    summary: "changes an account: only what is given",
    run: setAccount,
  },
  {
    name: "account delete",
    arguments: ["ACCOUNT"],
    flags: [],
    summary: "deletes an account with its tokens",
    run: async ({ api, output, args: [name = ""] }) => {
      await unlessAdmin(name, api.send("DELETE", path, named(name)));
      output.done(`account ${name} is deleted`);
      return exitCodes.done;
    },
  },
];

async function createAccount(call: Invocation) {
  const { api, flags, args } = call;
  const [name = ""] = args;
  const grants = flags.list("grant").map(parseGrant);
  const password = await passwordOf(call);
  // The API makes or changes; here, these are two things.
  if ((await api.find(path, named(name))) !== undefined) {
    throw new CommandError(`there is an account ${name} already: account set changes it`);
  }
  return await put(call, { name, grants, disabled: flags.has("disable") }, password, "made");
}

async function setAccount(call: Invocation) {
  const { api, flags, args } = call;
  const [name = ""] = args;
  const given = ["grant", "add-grant", "remove-grant", "disable", "enable"];
  const isChange = [...given, ...passwordFlags.map((flag) => flag.name)].some((flag) => flags.has(flag));
  if (!isChange) throw new UsageError("there is nothing to change; --help shows the flags");
  if (flags.has("disable") && flags.has("enable")) {
    throw new UsageError("--disable and --enable exclude each other");
  }
  const change = grantChange(flags);
  const password = await passwordOf(call);
  const found = await unlessAdmin(name, api.send("GET", path, named(name)));
  const { grants, disabled } = found;
  const isDisabled = flags.has("disable") || (disabled && !flags.has("enable"));
  return await put(call, { name, grants: change(grants), disabled: isDisabled }, password, "changed");
}

/** Changes the grants that an account has into those that it gets. */
function grantChange(flags: FlagValues): (grants: Grant[]) => Grant[] {
  const replaced = flags.list("grant").map(parseGrant);
  const added = flags.list("add-grant").map(parseGrant);
  const removed = flags.list("remove-grant");
  if (replaced.length > 0) {
    if (added.length + removed.length === 0) return () => replaced;
    throw new UsageError("--grant replaces all grants, so --add-grant and --remove-grant go without it");
  }
  return (grants) => {
    const unknown = removed.find((pattern) => !grants.some(({ repository }) => repository === pattern));
    if (unknown !== undefined) throw new CommandError(`the account has no grant of ${unknown}`);
    return [...grants.filter(({ repository }) => !removed.includes(repository)), ...added];
  };
}

async function passwordOf({ flags, readSecret }: Invocation): Promise<string | undefined> {
  const isGiven = flags.has("password-stdin-for-account");
  if (!flags.has("generate-password")) return isGiven ? await readSecret() : undefined;
  if (isGiven) throw new UsageError("a password is either given or generated");
  return randomBytes(24).toString("base64url");
}

async function put(
  { api, output, flags }: Invocation,
  { name, grants, disabled }: { name: string; grants: Grant[]; disabled: boolean },
  password: string | undefined,
  done: string,
) {
  const secret = password === undefined ? {} : { password };
  const account = await api.send("PUT", path, { ...named(name), body: { grants, disabled, ...secret } });
  const state = `account ${name} is ${done}${disabled ? " and disabled" : ""}; it may: ${formatGrants(account.grants)}`;
  if (password !== undefined && flags.has("generate-password")) {
    output.note(`${state}. Its password is shown this once:`);
    output.secret(password, { ...account, password });
    return exitCodes.done;
  }
  const hint = account.hasPassword ? "" : `. It has no password: token create ${name} makes it a token`;
  output.done(state + hint, account);
  return exitCodes.done;
}
