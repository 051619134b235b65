/** The files of the interface, as `src/local/interface.ts` builds them into the Worker. */

/** A file. `page.html` is the page that every screen begins with; the names of the others contain their hash. */
export type InterfaceFile = {
  name: string;
  contentType: string;
  /** Its content, gzipped, in base64. */
  gzipped: string;
  /** A hash of its content. */
  hash: string;
};
