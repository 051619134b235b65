import assert from "node:assert/strict";
import test from "node:test";
import fc from "fast-check";
import { FieldNames } from "../../src/oci/json.ts";

const names = ["digest", "blobSum", "os.features", "mask"];
const fields = new FieldNames(names);

function find(source: string): number {
  return fields.find(`"${source}"`, 1, source.length + 1);
}

const keys: [source: string, found: number][] = [
  ["digest", 1],
  ["blobSum", 2],
  ["os.features", 3],
  ["d\\u0069gest", 1],
  ["\\u0064\\u0069\\u0067\\u0065\\u0073\\u0074", 1],
  ["Digest", -1],
  ["DIGEST", -1],
  ["blobsum", -2],
  ["dige\u017ft", -1],
  ["dige\\u017ft", -1],
  ["dige\\u017Ft", -1],
  ["\\u0044igest", -1],
  ["ma\u017f\u212a", -4],
  ["os_features", 0],
  ["digest ", 0],
  ["digesT\\u0000", 0],
  ["dig\\nest", 0],
  ["dige\\\\st", 0],
  ["", 0],
  ["\\u005cu0064igest", 0],
  ["\\u005c\\u0064igest", 0],
  ["d\u0131gest", 0],
  ["di\u0261est", 0],
  ["\uff44igest", 0],
];

for (const [source, found] of keys) {
  test(`the key "${source}" is ${found === 0 ? "none" : `${names[Math.abs(found) - 1]}`}`, () => {
    assert.equal(find(source), found);
  });
}

test("keys are what JSON.parse and Unicode's simple folding make of them", () => {
  /** As regular expressions fold, by the same table as Go. */
  const expected = (key: string) => {
    const exact = names.indexOf(key) + 1;
    if (exact > 0) return exact;
    const folded = names.findIndex((name) => new RegExp(`^${name.replace(".", "\\.")}$`, "iu").test(key));
    return folded < 0 ? 0 : -(folded + 1);
  };
  const letter = fc.constantFrom(
    ..."digestDIGESTblobSum.oskmaft",
    "\u017f",
    "\u212a",
    "\\u017f",
    "\\u0064",
    "\\u0049",
    "\\u002E",
    "\\/",
    "\\b",
  );
  const near = fc
    .constantFrom(...names)
    .chain((name) =>
      fc.tuple(
        ...Array.from(name, (each) => fc.oneof(fc.constant(each), fc.constant(each.toUpperCase()), letter)),
      ),
    );
  fc.assert(
    fc.property(fc.oneof(fc.array(letter, { maxLength: 12 }), near), (letters) => {
      const source = letters.join("");
      assert.equal(find(source), expected(JSON.parse(`"${source}"`)), source);
    }),
  );
});
