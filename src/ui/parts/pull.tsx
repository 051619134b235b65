/** How to pull something, by the tool that one has. */
import { useState } from "preact/hooks";
import { messages } from "../language.ts";
import { pullCommands } from "../pull-commands.ts";
import { hostOf, useSurroundings } from "../session.ts";
import { Command, Select } from "./basics.tsx";

const key = "stowage.tool";

/** The command that pulls a tag, or its digest. */
export function Pull(props: {
  name: string;
  tag?: string | undefined;
  digest: string;
  kind: string | undefined;
}) {
  const { name, tag, digest, kind } = props;
  const words = messages().repository;
  const { info } = useSurroundings();
  const [tool, setTool] = useState(localStorage.getItem(key) ?? "");
  const [isByDigest, setByDigest] = useState(tag === undefined);
  const commands = pullCommands(hostOf(info), name, isByDigest || tag === undefined ? digest : tag, kind);
  const chosen = commands.find((each) => each.tool === tool) ?? commands[0];
  if (chosen === undefined) return null;
  const choose = (wanted: string) => {
    localStorage.setItem(key, wanted);
    setTool(wanted);
  };
  return (
    <div class="pull">
      <Select
        label={words.pull}
        value={chosen.tool}
        options={commands.map((each) => [each.tool, each.tool] as const)}
        onChange={choose}
      />
      {tag !== undefined && (
        <Select
          label={words.address}
          isLabelHidden
          value={isByDigest ? "digest" : "tag"}
          options={[
            ["tag", words.byTag],
            ["digest", words.byDigest],
          ]}
          onChange={(value) => setByDigest(value === "digest")}
        />
      )}
      <Command text={chosen.command} />
    </div>
  );
}
