/** Small tar archives. Source: POSIX, "ustar Interchange Format". */

const blockBytes = 512;

/** An archive of files, by their names. */
export function tarOf(files: Record<string, Uint8Array>): Uint8Array {
  const pieces = Object.entries(files).flatMap(([name, bytes]) => {
    const padding = (blockBytes - (bytes.byteLength % blockBytes)) % blockBytes;
    return [headerOf(name, bytes.byteLength), bytes, Buffer.alloc(padding)];
  });
  return new Uint8Array(Buffer.concat([...pieces, Buffer.alloc(2 * blockBytes)]));
}

function headerOf(name: string, size: number): Buffer {
  const header = Buffer.alloc(blockBytes);
  header.write(name, 0, 100);
  header.write("0000644\0", 100);
  header.write(`${size.toString(8).padStart(11, "0")}\0`, 124);
  header.write("        ", 148);
  header.write("0", 156);
  header.write("ustar\0", 257);
  const checksum = header.reduce((sum: number, byte: number) => sum + byte, 0);
  header.write(`${checksum.toString(8).padStart(6, "0")}\0 `, 148);
  return header;
}
