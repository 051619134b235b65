/** `token …` */
import type { Grant } from "../../oci/grant.ts";
import { adminName, type Command, exitCodes, type Invocation } from "../command.ts";
import { CommandError, UsageError } from "../errors.ts";
import { durationSeconds, formatGrants, isWithin, parseGrant, pathSegment } from "../format.ts";

const path = "/accounts/{account}/tokens";

const of = (account: string) => ({ account: pathSegment(account) });

/** Reads, makes and deletes the generated tokens of an account. */
export const tokenCommands: Command[] = [
  {
    name: "token list",
    arguments: ["ACCOUNT"],
    flags: [],
    summary: "lists the tokens of an account",
    run: async ({ api, output, args: [account = ""] }) => {
      const tokens = await api.list(path, "tokens", { params: of(account) });
      const columns = ["ID", "DESCRIPTION", "EXPIRES", "LAST USED", "GRANTS"];
      output.list(
        "there are no tokens",
        tokens,
        columns,
        ({ id, description, expiresAt, lastUsed, grants }) => [
          id,
          description,
          expiresAt ?? "never",
          lastUsed ?? "never",
          formatGrants(grants),
        ],
      );
      return exitCodes.done;
    },
  },
  {
    name: "token create",
    arguments: ["ACCOUNT"],
    flags: [
      { name: "description", value: "TEXT", summary: "what it is for; needed" },
      {
        name: "grant",
        value: "PATTERN:VERBS",
        isRepeatable: true,
        summary: "narrows what the account may, such as 'team/app:push'; may be repeated",
      },
      { name: "expires", value: "DURATION", summary: "how long it is good for, such as 90d; else for ever" },
    ],
    summary: "makes a token, and prints its secret",
    details: "The secret stands alone on stdout, and is shown this once. With --json, all there is to it.",
    run: async (call) => {
      const {
        api,
        output,
        flags,
        args: [account = ""],
      } = call;
      const description = flags.text("description");
      if (description === undefined) throw new UsageError("--description is needed: what is the token for?");
      const grants = flags.list("grant").map(parseGrant);
      const expires = flags.text("expires");
      const token = await api.send("POST", path, {
        params: of(account),
        body: {
          description,
          ...(grants.length === 0 ? {} : { grants }),
          ...(expires === undefined ? {} : { expiresInSeconds: durationSeconds(expires) }),
        },
      });
      const end = token.expiresAt === undefined ? "does not expire" : `expires at ${token.expiresAt}`;
      output.note(`token ${token.id} of ${account} is made and ${end}. Its secret is shown this once:`);
      output.secret(token.secret, token);
      await noteWhatExceeds(call, account, grants);
      return exitCodes.done;
    },
  },
  {
    name: "token delete",
    arguments: ["ACCOUNT", "ID"],
    flags: [],
    summary: "deletes a token",
    run: async ({ api, output, args: [account = "", id = ""] }) => {
      await api.send("DELETE", `${path}/{token}`, { params: { ...of(account), token: pathSegment(id) } });
      output.done(`token ${id} of ${account} is deleted`);
      return exitCodes.done;
    },
  },
];

/** Warns if a token has grants that its account does not have. That is not an error: the account may get them later. */
async function noteWhatExceeds({ api, output }: Invocation, account: string, grants: Grant[]): Promise<void> {
  // The administrator has no record, and may do everything.
  if (grants.length === 0 || account === adminName) return;
  let owner: { grants: Grant[] };
  try {
    owner = await api.send("GET", "/accounts/{account}", { params: of(account) });
  } catch (error) {
    // The token exists, and its secret was printed: a failure of this check is not a failure of the command.
    if (error instanceof CommandError) return;
    throw error;
  }
  const beyond = grants.filter((grant) => !isWithin(grant, owner.grants));
  if (beyond.length === 0) return;
  const limit = `the token may do no more than ${account}, which may: ${formatGrants(owner.grants)}`;
  output.note(`${formatGrants(beyond)} is more than the account has; ${limit}`);
}
