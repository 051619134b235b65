/** Names of very many repositories, as organisations have them. */

const words = [
  "api",
  "auth",
  "billing",
  "cart",
  "checkout",
  "crawler",
  "etl",
  "gateway",
  "indexer",
  "invoice",
  "ledger",
  "mailer",
  "media",
  "metrics",
  "notify",
  "orders",
  "parser",
  "portal",
  "profile",
  "proxy",
  "queue",
  "report",
  "search",
  "shop",
  "sync",
  "tracker",
  "users",
  "web",
  "worker",
  "zoning",
];

/** How many teams there are: the names of a hundredth of all repositories begin with the same team. */
export const teams = 100;

/** One of them: its name, what it says of itself, and whether it is public, as every hundredth is. */
export function repositoryNumber(number: number): { name: string; description: string; isPublic: boolean } {
  const word = (offset: number) => words[(number * 7 + offset) % words.length] ?? "";
  const team = `team-${String(number % teams).padStart(2, "0")}`;
  return {
    name: `${team}/${word(0)}-${word(3 + (number % 11))}/${number.toString(36)}`,
    description: `The ${word(1)} of the ${word(5)}, made by ${team}`,
    isPublic: number % 100 === 99,
  };
}
