/** Small parts that all screens use. */
import type { ComponentChildren } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import type { ApiError } from "../api.ts";
import { formatAgo, formatDay, formatTime, shortDigest } from "../format.ts";
import { messages } from "../language.ts";

/** Sets the title of the page. */
export function useTitle(title: string): void {
  useEffect(() => {
    document.title = title === "" ? "Stowage" : `${title} · Stowage`;
  }, [title]);
}

/** A button that copies a text. */
export function Copy({ text, label }: { text: string; label?: string }) {
  const words = messages();
  const [isCopied, setCopied] = useState(false);
  const timer = useRef(0);
  const copy = async () => {
    await navigator.clipboard.writeText(text);
    setCopied(true);
    clearTimeout(timer.current);
    timer.current = window.setTimeout(() => setCopied(false), 2000);
  };
  return (
    <button type="button" class="quiet copy" onClick={copy} aria-label={`${words.copy}: ${label ?? text}`}>
      <span aria-live="polite">{isCopied ? words.copied : words.copy}</span>
    </button>
  );
}

/** A command in a line that can be copied. */
export function Command({ text }: { text: string }) {
  return (
    <div class="command">
      <code tabIndex={0}>{text}</code>
      <Copy text={text} />
    </div>
  );
}

/** A digest, short, with a button that copies the whole. */
export function Digest({ digest, href }: { digest: string; href?: string }) {
  const short = <code title={digest}>{shortDigest(digest)}</code>;
  return <span class="digest">{href === undefined ? short : <a href={href}>{short}</a>}</span>;
}

/** How long ago something was, with the time itself for who points at it. */
export function Ago({ time }: { time: string | undefined }) {
  if (time === undefined) return <span class="faint">–</span>;
  const isDay = time.length === 10;
  return (
    <time dateTime={time} title={isDay ? formatDay(time) : formatTime(time)}>
      {isDay ? formatDay(time) : formatAgo(time)}
    </time>
  );
}

/** A word about something. */
export function Badge({ children, tone = "" }: { children: ComponentChildren; tone?: string }) {
  return <span class={`badge ${tone}`}>{children}</span>;
}

/** The kinds of content, as badges. */
export function Kinds({ kinds }: { kinds: readonly string[] }) {
  const words = messages();
  return (
    <>
      {kinds.map((kind) => (
        <Badge key={kind} tone={`kind-${kind}`}>
          {words.kinds[kind] ?? kind}
        </Badge>
      ))}
    </>
  );
}

/** What stands where nothing is; `isWholePage`: in place of a screen. */
export function Empty(props: { title: string; isWholePage?: boolean; children?: ComponentChildren }) {
  const { title, isWholePage = false, children } = props;
  return (
    <div class="empty">
      {isWholePage ? <h1>{title}</h1> : <h2>{title}</h2>}
      {children}
    </div>
  );
}

/** What is shown until there is data: as high as the data is likely to be, so that the page does not jump. */
export function Loading({ rows = 6 }: { rows?: number }) {
  const lines = Array.from({ length: rows }, (_, index) => <div key={index} class="line" />);
  return (
    <div class="loading" aria-busy="true">
      <span class="unseen">{messages().loading}</span>
      {lines}
    </div>
  );
}

/** Why something failed, in words, with what finds it in the log. */
export function Failed({ error, retry }: { error: ApiError; retry?: () => void }) {
  const words = messages().errors;
  const isAbsent =
    error.status === 404 || error.status === 401 || (error.status === 403 && retry !== undefined);
  return (
    <div class="failed" role="alert">
      <strong>{sayError(error, isAbsent)}</strong>
      {isAbsent && <p>{error.status === 401 ? words.signInHint : words.notFoundText}</p>}
      {!isAbsent && error.detail !== "" && <p>{error.detail}</p>}
      <div class="row">
        {retry !== undefined && !isAbsent && (
          <button type="button" onClick={retry}>
            {words.retry}
          </button>
        )}
        {error.requestId !== "" && <small class="faint">{words.request(error.requestId)}</small>}
      </div>
    </div>
  );
}

function sayError(error: ApiError, isAbsent: boolean): string {
  const words = messages().errors;
  if (error.status === 0) return words.network;
  if (isAbsent) return words.notFound;
  if (error.status === 429) return words.tooMany;
  if (error.code === "DENIED" && error.detail === "") return words.denied;
  return error.message || words.title;
}

/** A button that reads the next page of a list, if there is one. */
export function More({ more, isLoading }: { more: (() => void) | undefined; isLoading: boolean }) {
  if (more === undefined) return null;
  return (
    <div class="more">
      <button type="button" onClick={more} disabled={isLoading}>
        {messages().more}
      </button>
    </div>
  );
}

/** A choice among a few, in a box that opens. */
export function Select<T extends string>(props: {
  label: string;
  isLabelHidden?: boolean;
  value: T;
  options: readonly (readonly [value: T, text: string])[];
  onChange: (value: T) => void;
}) {
  const { label, value, options, onChange, isLabelHidden = false } = props;
  return (
    <label class="select">
      <span class={isLabelHidden ? "unseen" : undefined}>{label}</span>
      <select value={value} onChange={(event) => onChange(event.currentTarget.value as T)}>
        {options.map(([option, text]) => (
          <option key={option} value={option} selected={option === value}>
            {text}
          </option>
        ))}
      </select>
    </label>
  );
}
