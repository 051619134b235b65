/** `token …` */
import { type Command, exitCodes, UsageError } from "../command.ts";
import type { TokenView } from "../views.ts";
import { formatGrants, parseDuration, parseGrant, pathSegment } from "../words.ts";

const pathOf = (account: string) => `accounts/${pathSegment(account)}/tokens`;

/** Reads, makes and deletes the generated tokens of an account. */
export const tokenCommands: Command[] = [
  {
    name: "token list",
    arguments: ["ACCOUNT"],
    flags: [],
    summary: "lists the tokens of an account",
    run: async ({ api, output, args: [account = ""] }) => {
      const tokens = await api.list<TokenView>(pathOf(account), "tokens");
      const columns = ["ID", "DESCRIPTION", "EXPIRES", "LAST USED", "GRANTS"];
      output.list("tokens", tokens, columns, ({ id, description, expiresAt, lastUsed, grants }) => [
        id,
        description,
        expiresAt ?? "never",
        lastUsed ?? "never",
        formatGrants(grants),
      ]);
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
    run: async ({ api, output, flags, args: [account = ""] }) => {
      const description = flags.text("description");
      if (description === undefined) throw new UsageError("--description is needed: what is the token for?");
      const grants = flags.list("grant").map(parseGrant);
      const expires = flags.text("expires");
      const token = await api.send<TokenView & { secret: string }>("POST", pathOf(account), {
        description,
        ...(grants.length === 0 ? {} : { grants }),
        ...(expires === undefined ? {} : { expiresInSeconds: parseDuration(expires) }),
      });
      const end = token.expiresAt === undefined ? "does not expire" : `expires at ${token.expiresAt}`;
      output.note(`token ${token.id} of ${account} is made and ${end}. Its secret is shown this once:`);
      output.secret(token.secret, token);
      return exitCodes.done;
    },
  },
  {
    name: "token delete",
    arguments: ["ACCOUNT", "ID"],
    flags: [],
    summary: "deletes a token",
    run: async ({ api, output, args: [account = "", id = ""] }) => {
      await api.send("DELETE", `${pathOf(account)}/${pathSegment(id)}`);
      output.done(`token ${id} of ${account} is deleted`);
      return exitCodes.done;
    },
  },
];
