/** What the policies say of a repository, and of a tag: what holds, from which rule, and why a tag stays or goes. */
import type { ComponentChildren } from "preact";
import { parseDuration } from "../../units.ts";
import { type Answer, send } from "../api.ts";
import { useAction, useData } from "../data.ts";
import { formatDuration, formatTime } from "../format.ts";
import { messages } from "../language.ts";
import { Ago, Badge, Empty, Failed, Loading } from "../parts/basics.tsx";
import { referencePath } from "../paths.ts";

type Policy = Answer<"/repositories/{name}/policy">;
type KeepLine = NonNullable<Policy["keep"]>["lines"][number];
type Verdict = NonNullable<Policy["tag"]>;
type Waiting = NonNullable<Policy["retention"]["waiting"]>;

function usePolicy(name: string, tag?: string) {
  const query = tag === undefined ? {} : { tag };
  return useData(`policy ${name} ${tag ?? ""}`, (signal) =>
    send("GET", "/repositories/{name}/policy", { params: { name }, query, signal }),
  );
}

/** The tab of a repository. */
export function RulesTab({ name, may }: { name: string; may: readonly string[] }) {
  const words = messages().rules;
  const { data, error, reload } = usePolicy(name);
  if (error !== undefined) return <Failed error={error} retry={reload} />;
  if (data === undefined) return <Loading />;
  const { tags, keep, remove, names, retention, breaks } = data;
  if (tags === undefined && keep === undefined && remove === undefined && names === undefined) {
    return (
      <Empty title={words.none}>
        <p>{words.noneText}</p>
      </Empty>
    );
  }
  return (
    <>
      {retention.waiting !== undefined && (
        <WaitingRun name={name} run={retention.waiting} mayConfirm={may.includes("admin")} done={reload} />
      )}
      <section>
        <h2>{words.holds}</h2>
        <dl class="pairs rules">
          {tags?.allow !== undefined && (
            <Section title={words.allow} rule={tags.rule}>
              <Patterns patterns={tags.allow} />
            </Section>
          )}
          {tags?.immutable !== undefined && (
            <Section title={words.immutable} rule={tags.rule}>
              <Patterns patterns={tags.immutable} />
            </Section>
          )}
          {remove !== undefined && (
            <Section title={words.remove} rule={remove.rule}>
              <Patterns patterns={remove.tags} />
              {remove.untaggedAfter !== undefined && (
                <div>{words.untagged(asPeriod(remove.untaggedAfter))}</div>
              )}
            </Section>
          )}
          {keep !== undefined && keep.lines.length > 0 && (
            <Section title={words.keep} rule={keep.rule}>
              <ul class="plain">
                {keep.lines.map((line, index) => (
                  <li key={index}>
                    {sayLine(line)} <Patterns patterns={line.tags} />
                  </li>
                ))}
              </ul>
            </Section>
          )}
          {names !== undefined && (
            <Section title={words.names} rule={names.rule}>
              <Patterns patterns={names.allow} />
            </Section>
          )}
        </dl>
        <p class="faint">{words.order}</p>
      </section>
      {remove !== undefined && <Runs retention={retention} />}
      <Held name={name} held={retention.held} mayRelease={may.includes("push")} done={reload} />
      <Breaks name={name} breaks={breaks} />
    </>
  );
}

function Section({ title, rule, children }: { title: string; rule: number; children: ComponentChildren }) {
  return (
    <div>
      <dt>
        {title}
        <br />
        <small>{messages().rules.rule(rule)}</small>
      </dt>
      <dd>{children}</dd>
    </div>
  );
}

function Patterns({ patterns }: { patterns: readonly string[] }) {
  return (
    <>
      {patterns.map((pattern) => (
        <code key={pattern} class="badge alias">
          {pattern}
        </code>
      ))}
    </>
  );
}

/** A period of the document, in words: `30 days` for `30d`. */
function asPeriod(text: string): string {
  const milliseconds = parseDuration(text);
  return milliseconds === undefined ? text : formatDuration(milliseconds / 1000);
}

function sayLine({ newest, newestVersions, pushedWithin, usedWithin }: KeepLine): string {
  const { lines } = messages().rules;
  if (newest !== undefined) return lines.newest(newest);
  if (newestVersions !== undefined) return lines.newestVersions(newestVersions);
  if (pushedWithin !== undefined) return lines.pushedWithin(asPeriod(pushedWithin));
  return usedWithin === undefined ? lines.all : lines.usedWithin(asPeriod(usedWithin));
}

function Runs({ retention: { nextRunAt, lastRun } }: { retention: Policy["retention"] }) {
  const words = messages().rules;
  return (
    <dl class="facts">
      <div>
        <dt>{words.nextRun}</dt>
        <dd>{nextRunAt === undefined ? "–" : formatTime(nextRunAt)}</dd>
      </div>
      <div>
        <dt>{words.lastRun}</dt>
        <dd>
          <Ago time={lastRun?.time} />
          {lastRun !== undefined && <span class="faint"> {words.removed(lastRun.removed)}</span>}
        </dd>
      </div>
    </dl>
  );
}

function Held(props: {
  name: string;
  held: Policy["retention"]["held"];
  mayRelease: boolean;
  done: () => void;
}) {
  const { name, held, mayRelease, done } = props;
  const { rules: words, by } = messages();
  const { run, isBusy, error } = useAction();
  if (held.length === 0) return null;
  const release = async (tag: string) => {
    const params = { name, tag };
    if (await run(() => send("DELETE", "/repositories/{name}/tags/{tag}/hold", { params }))) done();
  };
  return (
    <section>
      <h2>{words.held}</h2>
      {error !== undefined && <Failed error={error} />}
      <table class="list">
        <tbody>
          {held.map(({ tag, time, actor, reason }) => (
            <tr key={tag}>
              <td class="main">
                <a href={referencePath(name, tag)}>
                  <strong>{tag}</strong>
                </a>
              </td>
              <td>{reason}</td>
              <td>
                <Ago time={time} /> {actor !== "" && <span class="faint">{by(actor)}</span>}
              </td>
              <td class="number">
                {mayRelease && (
                  <button type="button" class="quiet" disabled={isBusy} onClick={() => release(tag)}>
                    {words.release}
                  </button>
                )}
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  );
}

function Breaks({ name, breaks }: { name: string; breaks: Policy["breaks"] }) {
  const words = messages().rules;
  if (!breaks.name && breaks.tags.length === 0) return null;
  return (
    <section>
      <h2>{words.breaks}</h2>
      {breaks.name && <p>{words.breaksName(name)}</p>}
      {breaks.tags.length > 0 && (
        <p class="links">
          {breaks.tags.map((tag) => (
            <a key={tag} class="badge alias" href={referencePath(name, tag)}>
              {tag}
            </a>
          ))}
        </p>
      )}
    </section>
  );
}

/** A run of retention that waits until somebody confirms it. `done` is called when it has begun. */
export function WaitingRun(props: { name: string; run: Waiting; mayConfirm: boolean; done: () => void }) {
  const { name, run, mayConfirm, done } = props;
  const words = messages().rules;
  const action = useAction();
  const confirmRun = async () => {
    if (!confirm(words.confirmSure(run.removes, name))) return;
    const path = "/repositories/{name}/policy/confirm";
    if (await action.run(() => send("POST", path, { params: { name } }))) done();
  };
  return (
    <div class="notice">
      <span>
        {words.waiting(run.removes, run.of)} {words.reasons[run.why]} <Ago time={run.since} />
      </span>
      {mayConfirm && (
        <button type="button" disabled={action.isBusy} onClick={confirmRun}>
          {words.confirm}
        </button>
      )}
      {action.error !== undefined && <Failed error={action.error} />}
    </div>
  );
}

/** Whether a tag stays, and why. Nothing where no rule speaks of tags. */
export function TagRules({ name, tag, mayPush }: { name: string; tag: string; mayPush: boolean }) {
  const words = messages().rules;
  const { data, reload } = usePolicy(name, tag);
  const { run, isBusy, error } = useAction();
  const verdict = data?.tag;
  if (data === undefined || verdict === undefined) return null;
  if (data.remove === undefined && !verdict.immutable) return null;
  const hold = async () => {
    const sent = { params: { name, tag }, body: {} };
    if (await run(() => send("PUT", "/repositories/{name}/tags/{tag}/hold", sent))) reload();
  };
  return (
    <div class="links">
      {verdict.immutable && (
        <Badge tone="kind-chart">
          <span title={words.immutableText}>{words.isImmutable}</span>
        </Badge>
      )}
      {data.remove !== undefined && (
        <>
          <Badge tone={verdict.stays ? "public" : "goes"}>{verdict.stays ? words.stays : words.goes}</Badge>
          <span class="faint">{sayWhy(data, verdict)}</span>
        </>
      )}
      {!verdict.stays && mayPush && (
        <button type="button" class="quiet" disabled={isBusy} onClick={hold}>
          {words.hold}
        </button>
      )}
      {error !== undefined && <Failed error={error} />}
    </div>
  );
}

function sayWhy({ keep, retention }: Policy, { tag, stays, why, line, since }: Verdict): string {
  const { rules: words, by } = messages();
  if (!stays) {
    const { nextRunAt } = retention;
    const when = nextRunAt === undefined ? "" : ` ${words.goesAt(formatTime(nextRunAt))}`;
    return `${since === undefined ? "" : words.goesSince(formatTime(since))}${when}`;
  }
  const keeping = line === undefined ? undefined : keep?.lines[line];
  if (keep !== undefined && keeping !== undefined) {
    return words.keptBy(`${sayLine(keeping)} ${keeping.tags.join(", ")}`, keep.rule);
  }
  const held = retention.held.find((each) => each.tag === tag);
  if (why === "held" && held !== undefined) {
    return [words.whys.held, held.actor === "" ? "" : by(held.actor), held.reason]
      .filter(Boolean)
      .join(" · ");
  }
  return words.whys[why ?? ""] ?? "";
}
