/**
 * One line a request: JSON for machines, text for a terminal.
 */
import type { Settings } from "../settings/settings.ts";
import { cut } from "./cut.ts";

/** What is known of a request once it is answered. */
export type RequestRecord = {
  requestId: string;
  method: string;
  route: string;
  params: Record<string, string>;
  /** What was asked for where there is no such route; else the route and its params say it. */
  path: string | undefined;
  account: string | undefined;
  status: number;
  error: string | undefined;
  /** The digest or tag that the request is about, as far as it is known. */
  reference: string | undefined;
  /** Lengths of the bodies: of the request's what was received, where that was counted, else what was announced. */
  bytesIn: number;
  bytesOut: number;
  milliseconds: number;
};

/** How much of a name is written that a client chose, which may be none: more than any that is one has. */
const mostCharacters = 300;

/** Writes the line. */
export function logRequest(format: Settings["logFormat"], record: RequestRecord): void {
  if (format === "none") return;
  const fields = {
    method: record.method,
    route: record.route,
    path: record.path && cut(record.path, mostCharacters),
    repository: record.params.name && cut(record.params.name, mostCharacters),
    reference: record.reference && cut(record.reference, mostCharacters),
    account: record.account,
    status: record.status,
    error: record.error,
    bytesIn: record.bytesIn,
    bytesOut: record.bytesOut,
    milliseconds: Math.round(record.milliseconds * 10) / 10,
    requestId: record.requestId,
  };
  console.log(
    format === "json" ? JSON.stringify({ time: new Date().toISOString(), ...fields }) : toText(fields),
  );
}

function toText(fields: Record<string, string | number | undefined>): string {
  const {
    method,
    route,
    path,
    repository,
    reference,
    account,
    status,
    error,
    bytesIn,
    bytesOut,
    milliseconds,
    requestId,
  } = fields;
  const what = [path, repository, reference].filter(Boolean).join(" ");
  const bytes = Number(bytesIn) + Number(bytesOut);
  return [
    new Date().toISOString().slice(11, 23),
    status,
    String(method).padEnd(6),
    String(route).padEnd(9),
    what,
    account ?? "",
    `${bytes} B`,
    `${milliseconds} ms`,
    error ?? "",
    requestId,
  ]
    .filter((word) => word !== "")
    .map((word) => printable(String(word)))
    .join("  ");
}

/** Names come from clients: what would move a terminal's cursor or end the line is shown as its code. */
function printable(text: string): string {
  return text.replace(/[^\x20-\x7e]/g, (character) => `\\u{${character.codePointAt(0)?.toString(16)}}`);
}
