/** `settings` */
import { settingTable } from "../../settings/table.ts";
import { type Command, exitCodes } from "../command.ts";

/** Prints what README.md has as a table. */
export const settingsCommand: Command = {
  name: "settings",
  arguments: [],
  isOfAnyRegistry: true,
  flags: [],
  summary: "prints every setting of a registry, with its default and its meaning",
  details: "`stowage serve` takes them as --var NAME=VALUE.",
  run: async ({ output }) => {
    const settings = Object.values(settingTable).map(({ variable, default: fallback, type, doc }) => ({
      name: variable,
      default: fallback,
      accepts: plainText(type.range),
      meaning: plainText(doc),
    }));
    output.text(settings.map(paragraphOf).join("\n"), settings);
    return exitCodes.done;
  },
};

function paragraphOf(setting: { name: string; default: string; accepts: string; meaning: string }): string {
  const lines = [
    setting.name,
    `  ${setting.meaning}`,
    ...(setting.default === "" ? [] : [`  default: ${setting.default}`]),
    ...(setting.accepts === "" ? [] : [`  accepts: ${setting.accepts}`]),
  ];
  return `${lines.join("\n")}\n`;
}

/** Markdown without its marks; of a link, its text. */
function plainText(markdown: string): string {
  return markdown.replace(/\[([^\]]*)\]\([^)]*\)/g, "$1").replaceAll("`", "");
}
