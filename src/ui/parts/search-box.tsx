/** Search from anywhere: a box whose list opens while one types, and works by keyboard. */

import { useEffect, useId, useRef, useState } from "preact/hooks";
import { useLocation } from "preact-iso/router";
import { type Answer, send } from "../api.ts";
import { messages } from "../language.ts";
import { referencePath, repositoryPath, withQuery } from "../paths.ts";
import { Kinds } from "./basics.tsx";

type Found = Answer<"/search">;

/** A line of the list. */
type Choice = { id: string; href: string; text: string; note?: string; kinds: readonly string[] };

const waitMs = 120;
const shown = 8;

/** The box. */
export function SearchBox() {
  const words = messages().search;
  const { route } = useLocation();
  const input = useRef<HTMLInputElement>(null);
  const list = useId();
  const [text, setText] = useState("");
  const [found, setFound] = useState<Found>();
  const [chosen, setChosen] = useState(-1);
  const [isOpen, setOpen] = useState(false);
  useShortcut(input);

  useEffect(() => {
    const wanted = text.trim();
    if (wanted === "") {
      setFound(undefined);
      return;
    }
    const abort = new AbortController();
    const timer = setTimeout(() => {
      send("GET", "/search", { query: { q: wanted, n: shown }, signal: abort.signal }).then(
        (answer) => {
          setFound(answer);
          setChosen(-1);
        },
        () => {},
      );
    }, waitMs);
    return () => {
      clearTimeout(timer);
      abort.abort();
    };
  }, [text]);

  const choices = choicesOf(found, text.trim(), words.all);
  const open = (href: string) => {
    setOpen(false);
    setText("");
    input.current?.blur();
    route(href);
  };
  const onKeyDown = (event: KeyboardEvent) => {
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      event.preventDefault();
      setOpen(true);
      const step = event.key === "ArrowDown" ? 1 : -1;
      setChosen((before) => Math.max(-1, Math.min(choices.length - 1, before + step)));
    } else if (event.key === "Escape") {
      setOpen(false);
      input.current?.blur();
    } else if (event.key === "Enter" && text.trim() !== "") {
      event.preventDefault();
      open(choices[chosen]?.href ?? withQuery("/search", { q: text.trim() }));
    }
  };
  const isShown = isOpen && text.trim() !== "" && found !== undefined;
  // Together, as the types know a combobox by a `list` alone.
  const combobox: object = {
    type: "search",
    role: "combobox",
    "aria-expanded": isShown,
    "aria-controls": list,
    "aria-autocomplete": "list",
    "aria-activedescendant": isShown && chosen >= 0 ? `${list}-${chosen}` : undefined,
  };
  return (
    <search class="search-box">
      <input
        ref={input}
        {...combobox}
        aria-label={words.label}
        placeholder={words.placeholder}
        title={words.hint}
        autocomplete="off"
        spellcheck={false}
        maxLength={200}
        value={text}
        onInput={(event) => {
          setText(event.currentTarget.value);
          setOpen(true);
        }}
        onFocus={() => setOpen(true)}
        onBlur={() => setOpen(false)}
        onKeyDown={onKeyDown}
      />
      <span class="key" aria-hidden="true">
        /
      </span>
      <div id={list} role="listbox" aria-label={words.label} class="choices" hidden={!isShown}>
        {choices.map((choice, index) => (
          // biome-ignore lint/a11y/useKeyWithClickEvents: the input has the keys
          // biome-ignore lint/a11y/useFocusableInteractive: the input keeps the focus
          <div
            key={choice.id}
            id={`${list}-${index}`}
            role="option"
            aria-selected={index === chosen}
            class="choice"
            onMouseDown={(event) => event.preventDefault()}
            onClick={() => open(choice.href)}
          >
            <span class="choice-text">{choice.text}</span>
            {choice.note !== undefined && <span class="faint">{choice.note}</span>}
            <Kinds kinds={choice.kinds} />
          </div>
        ))}
      </div>
    </search>
  );
}

function choicesOf(found: Found | undefined, text: string, all: (text: string) => string): Choice[] {
  if (found === undefined) return [];
  return [
    ...found.repositories.map(({ name, kinds }) => ({
      id: name,
      href: repositoryPath(name),
      text: name,
      kinds,
    })),
    ...found.tags.slice(0, shown).map(({ repository, tag }) => ({
      id: `${repository}:${tag}`,
      href: referencePath(repository, tag),
      text: `${repository}:${tag}`,
      kinds: [],
    })),
    { id: " ", href: withQuery("/search", { q: text }), text: all(text), kinds: [] },
  ];
}

/** `/` and Ctrl-K, from anywhere but a field. */
function useShortcut(input: { current: HTMLInputElement | null }): void {
  useEffect(() => {
    const onKeyDown = (event: KeyboardEvent) => {
      const isInField = (event.target as HTMLElement).closest("input, textarea, select") !== null;
      const isSlash = event.key === "/" && !isInField && !event.ctrlKey && !event.metaKey && !event.altKey;
      const isCommand = event.key.toLowerCase() === "k" && (event.ctrlKey || event.metaKey);
      if (!isSlash && !isCommand) return;
      event.preventDefault();
      input.current?.focus();
      input.current?.select();
    };
    addEventListener("keydown", onKeyDown);
    return () => removeEventListener("keydown", onKeyDown);
  }, [input]);
}
