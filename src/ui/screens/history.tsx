/** How the tags of a repository moved, and putting one back. */
import { useState } from "preact/hooks";
import { type Answer, addressOf, send } from "../api.ts";
import { useAction, usePages } from "../data.ts";
import { formatDuration, shortTag } from "../format.ts";
import { messages } from "../language.ts";
import { Ago, Digest, Empty, Failed, Loading, More } from "../parts/basics.tsx";
import { referencePath } from "../paths.ts";
import { useSurroundings } from "../session.ts";

type Move = Answer<"/repositories/{name}/history">["history"][number];

/** A tag that was put back, and what it pointed at before. */
type Restored = { tag: string; before: string | null };

/** The tab. `tag`: of this tag alone. `changed` is called when a tag was put back. */
export function HistoryTab(props: { name: string; mayPush: boolean; tag?: string; changed?: () => void }) {
  const { name, mayPush, tag, changed } = props;
  const words = messages().history;
  const { info } = useSurroundings();
  const path = tag === undefined ? "/repositories/{name}/history" : "/repositories/{name}/tags/{tag}/history";
  const pages = usePages<typeof path>(addressOf(path, { name, tag: tag ?? "" }, { n: 100 }));
  const { run, isBusy, error } = useAction();
  const [restored, setRestored] = useState<Restored>();
  const moves =
    pages.data?.flatMap(({ history }) => history.map((move) => ({ tag: tag ?? "", ...move }))) ?? [];
  const current = new Map<string, string | null>();
  for (const move of moves) if (!current.has(move.tag)) current.set(move.tag, move.to);
  const restore = async (wanted: string, digest: string, isUndo = false) => {
    const isDone = await run(() =>
      send("POST", "/repositories/{name}/tags/{tag}/restore", {
        params: { name, tag: wanted },
        body: { digest },
      }),
    );
    if (!isDone) return;
    setRestored(isUndo ? undefined : { tag: wanted, before: current.get(wanted) ?? null });
    pages.reload();
    changed?.();
  };
  if (pages.error !== undefined) return <Failed error={pages.error} retry={pages.reload} />;
  if (pages.data === undefined) return <Loading />;
  const undo = restored?.before;
  return (
    <>
      {restored !== undefined && (
        <div class="notice" role="status">
          <span>{words.restored(restored.tag)}</span>
          {typeof undo === "string" && (
            <button type="button" disabled={isBusy} onClick={() => restore(restored.tag, undo, true)}>
              {messages().undo}
            </button>
          )}
        </div>
      )}
      {error !== undefined && <Failed error={error} />}
      {moves.length === 0 && <Empty title={words.none} />}
      {moves.length > 0 && (
        <table class="list">
          <thead>
            <tr>
              <th>{words.when}</th>
              <th>{words.tag}</th>
              <th>{words.change}</th>
              <th>{words.who}</th>
              <td />
            </tr>
          </thead>
          <tbody>
            {moves.map((move) => (
              <Row
                key={move.sequence}
                name={name}
                move={move}
                restore={
                  mayPush && move.to !== null && move.to !== current.get(move.tag) ? restore : undefined
                }
                isBusy={isBusy}
              />
            ))}
          </tbody>
        </table>
      )}
      <More more={pages.more} isLoading={pages.isLoading} />
      <p class="faint">{words.kept(formatDuration(info.tagHistorySeconds))}</p>
    </>
  );
}

function Row(props: {
  name: string;
  move: Move;
  restore: ((tag: string, digest: string) => void) | undefined;
  isBusy: boolean;
}) {
  const { name, move, restore, isBusy } = props;
  const words = messages().history;
  const { tag, from, to, time, actor } = move;
  const what = to === null ? words.deleted : from === null ? words.created : words.moved;
  return (
    <tr>
      <td>
        <Ago time={time} />
      </td>
      <td class="main">
        <a href={referencePath(name, tag)}>
          <strong title={tag}>{shortTag(tag)}</strong>
        </a>
      </td>
      <td>
        {what} {from !== null && to !== null && <Digest digest={from} href={referencePath(name, from)} />}
        {from !== null && to !== null && " → "}
        {to !== null && <Digest digest={to} href={referencePath(name, to)} />}
      </td>
      <td>{actor}</td>
      <td class="number">
        {restore !== undefined && to !== null && (
          <button type="button" class="quiet" disabled={isBusy} onClick={() => restore(tag, to)}>
            {words.restore}
          </button>
        )}
      </td>
    </tr>
  );
}
