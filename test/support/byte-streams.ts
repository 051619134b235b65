/** Streams of bytes as in a Worker, whose readers may wait for more than one byte. Node's give what there is. */
Object.assign(ReadableStreamBYOBReader.prototype, {
  readAtLeast(this: ReadableStreamBYOBReader, _: number, view: Uint8Array) {
    return this.read(view);
  },
});
