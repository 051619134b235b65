/** Reads texts from a chart's archive, in the browser: gzip and tar. Sources: POSIX.1-2024, pax, "ustar Interchange Format"; Helm, "Charts". */

/** How many bytes an archive may have when it is unpacked. */
const maxBytes = 16 * 1024 * 1024;

const block = 512;

/**
 * The files directly in the only folder of an archive, as texts by their names: `Chart.yaml`, `README.md`.
 *
 * @throws TypeError if it is not gzip; RangeError if it is larger than 16 MiB
 */
export async function readArchive(gzipped: Blob): Promise<Map<string, string>> {
  const bytes = await unzip(gzipped);
  const files = new Map<string, string>();
  for (let offset = 0; offset + block <= bytes.length; ) {
    const name = fieldIn(bytes, offset, 100);
    const size = Number.parseInt(fieldIn(bytes, offset + 124, 12), 8) || 0;
    const isFile = /^0?$/.test(fieldIn(bytes, offset + 156, 1));
    const [, ...path] = name.split("/");
    const start = offset + block;
    if (isFile && path.length === 1 && path[0]) files.set(path[0], textIn(bytes, start, size));
    offset = start + Math.ceil(size / block) * block;
  }
  return files;
}

async function unzip(gzipped: Blob): Promise<Uint8Array> {
  const reader = gzipped.stream().pipeThrough(new DecompressionStream("gzip")).getReader();
  const pieces: Uint8Array<ArrayBuffer>[] = [];
  let length = 0;
  for (let piece = await reader.read(); !piece.done; piece = await reader.read()) {
    length += piece.value.length;
    if (length > maxBytes) throw new RangeError("the archive is too large");
    pieces.push(piece.value as Uint8Array<ArrayBuffer>);
  }
  return new Uint8Array(await new Blob(pieces).arrayBuffer());
}

function textIn(bytes: Uint8Array, start: number, length: number): string {
  return new TextDecoder().decode(bytes.subarray(start, start + length));
}

/** A field of a header, which ends with its first NUL. */
function fieldIn(bytes: Uint8Array, start: number, length: number): string {
  return textIn(bytes, start, length).split("\0", 1)[0] ?? "";
}
