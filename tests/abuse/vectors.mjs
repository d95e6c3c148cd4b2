/* vectors - the golden frames of proto/vectors, as bytes. Its README says how they are written. */
import { readFileSync } from "node:fs";

/** Digits in tokens that spaces separate; `61*128` is 128 times that byte. */
function toBytes(text) {
  const tokens = text.split(" ").map((token) => {
    const [digits, times = "1"] = token.split("*");
    return digits.repeat(Number(times));
  });
  return Buffer.from(tokens.join(""), "hex");
}

/** A file's vectors, with `bytes` as a Buffer. */
export function vectors(name) {
  const text = readFileSync(new URL(`../../proto/vectors/${name}.json`, import.meta.url), "utf8");
  return JSON.parse(text).map((one) => ({ ...one, bytes: toBytes(one.bytes) }));
}
