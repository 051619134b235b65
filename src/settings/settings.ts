/** The parsed settings, with types that are derived from the table. */
import { setLogFormat } from "../log.ts";
import { credentialVariable, type UpstreamCredential, withCredentials } from "../oci/upstream.ts";
import { type Setting, settingTable } from "./table.ts";

type SettingTable = typeof settingTable;

/** The settings, parsed. Times are milliseconds, sizes are bytes. */
export type Settings = {
  [K in keyof SettingTable]: SettingTable[K] extends Setting<string, infer T> ? T : never;
};

/** The name of a variable that a setting is read from. */
export type VariableName = SettingTable[keyof SettingTable]["variable"];

/** The credentials for an upstream. */
type CredentialVariable = `UPSTREAM_${string}_USERNAME` | `UPSTREAM_${string}_PASSWORD`;

/**
 * Variables by name. `UPSTREAM_CREDENTIALS`: on one machine, all credentials for upstreams by the names of their
 * variables, as JSON, because the bindings of a program are fixed when it is built.
 */
export type Variables = Partial<Record<VariableName | CredentialVariable | "UPSTREAM_CREDENTIALS", string>>;

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
  const upstreams = readUpstreamCredentials(variables, settings);
  // If unreferenced blobs are not kept, their bytes are not kept either.
  return { ...settings, upstreams, ...(settings.gcGraceMs === 0 ? { deleteDelayMs: 0 } : {}) };
}

/** The upstreams with their credentials. */
function readUpstreamCredentials(variables: Variables, { upstreams }: Settings): Settings["upstreams"] {
  if (upstreams.length === 0) return upstreams;
  const given: Variables = { ...JSON.parse(variables.UPSTREAM_CREDENTIALS ?? "{}"), ...variables };
  const credentialOf = (id: string): UpstreamCredential | undefined => {
    const username = given[credentialVariable(id, "USERNAME")];
    const password = given[credentialVariable(id, "PASSWORD")];
    if (!username && !password) return undefined;
    if (username && password) return { username, password };
    const missing = credentialVariable(id, username ? "PASSWORD" : "USERNAME");
    throw new SettingError(missing, `${missing} is missing: the upstream has only the other half`);
  };
  const complete = withCredentials(upstreams, variables.UPSTREAMS ?? "[]", credentialOf);
  if (complete.ok) return complete.value;
  throw new SettingError("UPSTREAMS", `UPSTREAMS is wrong: ${complete.reason}`);
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
