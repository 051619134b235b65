/** The parsed settings, with types that are derived from the table. */
import { setLogFormat } from "../log.ts";
import { type Setting, settingTable } from "./table.ts";

type SettingTable = typeof settingTable;

/** The settings, parsed. Times are milliseconds, sizes are bytes. */
export type Settings = {
  [K in keyof SettingTable]: SettingTable[K] extends Setting<string, infer T> ? T : never;
};

/** The name of a variable that a setting is read from. */
export type VariableName = SettingTable[keyof SettingTable]["variable"];

/** Variables by name. */
export type Variables = Partial<Record<VariableName, string>>;

/** The names of all variables. */
export const variableNames: VariableName[] = Object.values(settingTable).map(({ variable }) => variable);

/** A variable has a value it does not accept. The message names it and says what it accepts, and quotes the value. */
export class SettingError extends Error {
  override name = "SettingError";
  /** The variable's name; for callers who may not see its value. */
  readonly variable: string;

  constructor(variable: string, message: string) {
    super(message);
    this.variable = variable;
  }
}

function read<T>(variables: Variables, { variable, default: fallback, type }: Setting<VariableName, T>): T {
  const text = variables[variable] ?? fallback;
  const parsed = type.parse(text);
  if (parsed.ok) return parsed.value;
  throw new SettingError(
    variable,
    parsed.reason === undefined
      ? `${variable} is ${JSON.stringify(text)}, but must be ${type.expects}`
      : `${variable} is wrong: ${parsed.reason}`,
  );
}

/**
 * Parses all variables.
 *
 * @throws SettingError naming the first variable that is wrong.
 */
export function parseSettings(variables: Variables): Settings {
  const settings = Object.fromEntries(
    Object.entries(settingTable).map(([name, each]) => [
      name,
      read<unknown>(variables, each as Setting<VariableName, unknown>),
    ]),
  ) as Settings;
  // If unreferenced blobs are not kept, their bytes are not kept either.
  return settings.gcGraceMs === 0 ? { ...settings, deleteDelayMs: 0 } : settings;
}

const parsed = new WeakMap<object, Settings>();

/**
 * The settings of an environment, which are parsed once. This also sets the format of the isolate's log.
 *
 * @throws SettingError naming the first variable that is wrong.
 */
export function settingsOf(env: Variables): Settings {
  const known = parsed.get(env);
  if (known !== undefined) return known;
  const settings = parseSettings(env);
  setLogFormat(settings.logFormat);
  parsed.set(env, settings);
  return settings;
}
