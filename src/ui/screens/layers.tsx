/** The layers of an image by size, each with the command that made it. */
import { useState } from "preact/hooks";
import type { Answer } from "../api.ts";
import { formatBytes } from "../format.ts";
import { messages } from "../language.ts";
import { Badge, Digest } from "../parts/basics.tsx";

type Layer = Answer<"/repositories/{name}/references/{reference}">["content"]["layers"][number];

/** The layers. */
export function Layers({ layers }: { layers: readonly Layer[] }) {
  const words = messages().manifest;
  const [showsEmpty, setShowsEmpty] = useState(false);
  const real = layers.filter(({ isEmpty }) => !isEmpty);
  const total = real.reduce((sum, { size }) => sum + size, 0);
  const hasEmpty = real.length < layers.length;
  const shown = showsEmpty ? layers : real;
  return (
    <section>
      <div class="filters">
        <h2>{words.layers}</h2>
        <span class="faint">{words.layersOf(real.length, formatBytes(total))}</span>
        <span class="spring" />
        {hasEmpty && (
          <label class="check">
            <input
              type="checkbox"
              checked={showsEmpty}
              onChange={(event) => setShowsEmpty(event.currentTarget.checked)}
            />
            {words.showEmpty}
          </label>
        )}
      </div>
      <div class="bar" aria-hidden="true">
        {real.map((layer, index) => (
          <span
            key={`${layer.digest}${index}`}
            class={`part part-${index % 6}`}
            style={{ flexGrow: Math.max(layer.size, total / 200) }}
            title={formatBytes(layer.size)}
          />
        ))}
      </div>
      <ol class="layers">
        {shown.map((layer, index) => (
          <LayerLine key={index} layer={layer} part={real.indexOf(layer)} total={total} />
        ))}
      </ol>
    </section>
  );
}

function LayerLine({ layer, part, total }: { layer: Layer; part: number; total: number }) {
  const words = messages().manifest;
  const { command, comment, digest, mediaType, size, isEmpty, annotations } = layer;
  const title = annotations["org.opencontainers.image.title"];
  return (
    <li class="layer">
      <span class={`dot part-${part < 0 ? "none" : part % 6}`} aria-hidden="true" />
      <span class="layer-size">
        {isEmpty ? <Badge>{words.setting}</Badge> : formatBytes(size)}
        {!isEmpty && total > 0 && <small class="faint"> {shareOf(size, total)} %</small>}
      </span>
      <code class="layer-command">{command === undefined ? (title ?? mediaType) : asWritten(command)}</code>
      {digest !== undefined && <Digest digest={digest} />}
      {comment !== undefined && command === undefined && <small class="faint">{comment}</small>}
    </li>
  );
}

function shareOf(size: number, total: number): string {
  const share = (100 * size) / total;
  return share > 0 && share < 0.5 ? "< 1" : String(Math.round(share));
}

/** A command as its author wrote it: builders put a shell, arguments, or the note that they did nothing, before it. */
function asWritten(command: string): string {
  return command
    .replace(/^\/bin\/sh -c #\(nop\)\s*/, "")
    .replace(/^(?:RUN )?(?:\|\d+ .*? )?\/bin\/sh -c /, "RUN ")
    .replace(/\s*# buildkit$/, "")
    .trim();
}
