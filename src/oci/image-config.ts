/**
 * Reads the config of an image: its platform, when it was made, how, and how it runs.
 *
 * Source: image-spec, config.md. Docker's configs have the same fields.
 */
import { kibibyte } from "../units.ts";
import { isObject, type Json, parseObject } from "./manifest-fields.ts";
import { platformOf, timeOf } from "./manifest-summary.ts";

/** How one layer, or one setting, of an image was made. `isEmptyLayer`: it made no layer. */
export type HistoryEntry = {
  createdAtMs?: number;
  createdBy?: string;
  comment?: string;
  isEmptyLayer: boolean;
};

/** What the config of an image says. Fields that it does not have are left out. */
export type ImageConfig = {
  platform?: string;
  createdAtMs?: number;
  author?: string;
  env: string[];
  labels: Record<string, string>;
  entrypoint: string[];
  command: string[];
  workingDirectory?: string;
  user?: string;
  exposedPorts: string[];
  volumes: string[];
  stopSignal?: string;
  history: HistoryEntry[];
};

/** Larger configs count as empty, in bytes. They are a few KiB in practice. */
export const maxConfigBytes = 256 * kibibyte;

/** Reads a config. It never fails: what is not as the specification says is left out. */
export function readImageConfig(bytes: Uint8Array): ImageConfig {
  const json = parseObject(bytes);
  const run = isObject(json.config) ? json.config : {};
  return {
    ...optional("platform", platformOf(json)),
    ...optional("createdAtMs", timeOf(json.created)),
    ...optional("author", text(json.author)),
    env: texts(run.Env),
    labels: labelsOf(run.Labels),
    entrypoint: texts(run.Entrypoint),
    command: texts(run.Cmd),
    ...optional("workingDirectory", text(run.WorkingDir)),
    ...optional("user", text(run.User)),
    exposedPorts: isObject(run.ExposedPorts) ? Object.keys(run.ExposedPorts) : [],
    volumes: isObject(run.Volumes) ? Object.keys(run.Volumes) : [],
    ...optional("stopSignal", text(run.StopSignal)),
    history: Array.isArray(json.history) ? json.history.filter(isObject).map(historyEntry) : [],
  };
}

function historyEntry(entry: Json): HistoryEntry {
  return {
    ...optional("createdAtMs", timeOf(entry.created)),
    ...optional("createdBy", text(entry.created_by)),
    ...optional("comment", text(entry.comment)),
    isEmptyLayer: entry.empty_layer === true,
  };
}

function labelsOf(value: unknown): Record<string, string> {
  if (!isObject(value)) return {};
  const entries = Object.entries(value).filter(([, label]) => typeof label === "string");
  return Object.fromEntries(entries) as Record<string, string>;
}

function texts(value: unknown): string[] {
  return Array.isArray(value) ? value.filter((each) => typeof each === "string") : [];
}

function text(value: unknown): string | undefined {
  return typeof value === "string" && value !== "" ? value : undefined;
}

function optional<Name extends string, T>(
  name: Name,
  value: T | undefined,
): { [N in Name]?: T } | Record<never, never> {
  return value === undefined ? {} : { [name]: value };
}
