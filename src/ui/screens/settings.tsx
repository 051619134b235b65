/** Who may pull a repository, and what it says of itself. */
import { useState } from "preact/hooks";
import { type Answer, send } from "../api.ts";
import { useAction } from "../data.ts";
import { messages } from "../language.ts";
import { Failed } from "../parts/basics.tsx";
import { Markdown } from "../parts/markdown.tsx";

type Repository = Answer<"/repositories/{name}", "GET">;

/** The tab. */
export function SettingsTab({ repository, reload }: { repository: Repository; reload: () => void }) {
  return (
    <>
      <VisibilityForm repository={repository} reload={reload} />
      <TextForm repository={repository} field="description" reload={reload} />
      <TextForm repository={repository} field="readme" reload={reload} />
    </>
  );
}

function VisibilityForm({ repository, reload }: { repository: Repository; reload: () => void }) {
  const { settings: words, visibility: names, saved } = messages();
  const { name, visibility } = repository;
  const { run, isBusy, error } = useAction();
  const [wanted, setWanted] = useState(visibility);
  const [isSaved, setSaved] = useState(false);
  const submit = async (event: Event) => {
    event.preventDefault();
    const isDone = await run(() =>
      send("PATCH", "/repositories/{name}", { params: { name }, body: { visibility: wanted } }),
    );
    setSaved(isDone);
    if (isDone) reload();
  };
  const option = (value: "private" | "public", text: string) => (
    <label class="choice-line">
      <input
        type="radio"
        name="visibility"
        checked={wanted === value}
        onChange={() => {
          setWanted(value);
          setSaved(false);
        }}
      />
      <span>
        <strong>{names[value]}</strong>
        <br />
        <span class="faint">{text}</span>
      </span>
    </label>
  );
  return (
    <form class="card" onSubmit={submit}>
      <fieldset>
        <legend>{words.visibility}</legend>
        {option("private", words.privateText)}
        {option("public", words.publicText)}
      </fieldset>
      {wanted !== visibility && (
        <p class="notice">{wanted === "public" ? words.toPublic(name) : words.toPrivate(name)}</p>
      )}
      {error !== undefined && <Failed error={error} />}
      <div class="row">
        <button type="submit" class="primary" disabled={isBusy || wanted === visibility}>
          {words.apply}
        </button>
        <span role="status">{isSaved && wanted === visibility && saved}</span>
      </div>
    </form>
  );
}

/** The text of a repository that is changed: what it is called, how long it may be, and the words beside it. */
type Field = "description" | "readme";

const maxLengths = { description: 1000, readme: 65_536 };

function TextForm(props: { repository: Repository; field: Field; reload: () => void }) {
  const { repository, field, reload } = props;
  const { settings: words, save, saved } = messages();
  const { name } = repository;
  const { run, isBusy, error } = useAction();
  const [text, setText] = useState(repository[field]);
  const [isSaved, setSaved] = useState(false);
  const submit = async (event: Event) => {
    event.preventDefault();
    const isDone = await run(() =>
      send("PATCH", "/repositories/{name}", { params: { name }, body: { [field]: text } }),
    );
    setSaved(isDone);
    if (isDone) reload();
  };
  return (
    <form class="card" onSubmit={submit}>
      <label>
        <span>{words.texts[field]}</span>
        <textarea
          rows={field === "readme" ? 14 : 3}
          maxLength={maxLengths[field]}
          value={text}
          onInput={(event) => {
            setText(event.currentTarget.value);
            setSaved(false);
          }}
        />
      </label>
      <p class="faint">{words.hints[field]}</p>
      {text.trim() !== "" && (
        <details>
          <summary>{words.preview}</summary>
          <Markdown text={text} />
        </details>
      )}
      {error !== undefined && <Failed error={error} />}
      <div class="row">
        <button type="submit" class="primary" disabled={isBusy}>
          {save}
        </button>
        <span role="status">{isSaved && saved}</span>
      </div>
    </form>
  );
}
