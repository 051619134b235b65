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
      <DescriptionForm repository={repository} reload={reload} />
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

function DescriptionForm({ repository, reload }: { repository: Repository; reload: () => void }) {
  const { settings: words, save, saved } = messages();
  const { name } = repository;
  const { run, isBusy, error } = useAction();
  const [description, setDescription] = useState(repository.description);
  const [isSaved, setSaved] = useState(false);
  const submit = async (event: Event) => {
    event.preventDefault();
    const isDone = await run(() =>
      send("PATCH", "/repositories/{name}", { params: { name }, body: { description } }),
    );
    setSaved(isDone);
    if (isDone) reload();
  };
  return (
    <form class="card" onSubmit={submit}>
      <label>
        <span>{words.description}</span>
        <textarea
          rows={6}
          maxLength={1000}
          value={description}
          onInput={(event) => {
            setDescription(event.currentTarget.value);
            setSaved(false);
          }}
        />
      </label>
      <p class="faint">{words.descriptionText}</p>
      {description.trim() !== "" && (
        <details>
          <summary>{words.preview}</summary>
          <Markdown text={description} />
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
