/* recording - a recorded conversation, and its messages with the seqs of another server put in. */
import { readFileSync } from "node:fs";

/** The entries of a recording, with `bytes` as a Buffer. */
export function load(name) {
  const text = readFileSync(new URL(`recordings/${name}.jsonl`, import.meta.url), "utf8");
  return text
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line))
    .map((entry) => (entry.bytes ? { ...entry, bytes: Buffer.from(entry.bytes, "base64") } : entry));
}

const fixstr = (text) => Buffer.concat([Buffer.from([0xa0 + text.length]), Buffer.from(text)]);

/** A sub's bytes with another `since`; everything else as the client encoded it. */
export function withSince(bytes, since, replacement) {
  const [old, replaced] = [since, replacement].map((text) => Buffer.concat([fixstr("since"), fixstr(text)]));
  const at = bytes.indexOf(old);
  if (at < 0) throw new Error(`no since ${since} in the recorded bytes`);
  return Buffer.concat([bytes.subarray(0, at), replaced, bytes.subarray(at + old.length)]);
}

/** The frames of a recording in its own words: 64-bit integers and blobs as the decoder of this test gives them. */
export function plain(value) {
  if (Array.isArray(value)) return value.map(plain);
  if (value === null || typeof value !== "object") return value;
  if ("$int64" in value) return Number(value.$int64);
  if ("$bin" in value) return Uint8Array.from(Buffer.from(value.$bin, "base64"));
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, plain(inner)]));
}
