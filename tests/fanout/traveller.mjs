/*
 * traveller - a client whose socket is cut after a number of received bytes, as often as it is told. It keeps one cursor
 * for its three subscriptions, two of them of the same collection.
 */
import { Client } from "../lib/client.mjs";

export const SUBSCRIPTIONS = [["tasks", "tasks"], ["notes", "notes"], ["again", "tasks"]];

const headerLength = (length) => (length < 126 ? 2 : length < 65536 ? 4 : 10);

export class Traveller extends Client {
  constructor(url) {
    super(url, SUBSCRIPTIONS);
    this.cuts = []; // after how many bytes each of the next connections is cut
    this.resets = 0;
  }

  connect() {
    super.connect();
    this.received = 0; // bytes of this connection's messages
    this.since = this.cursor;
    this.cutAt = this.cuts?.shift() ?? Infinity;
  }

  /** What is not whole within the bytes that it may receive has never come. */
  message(data) {
    this.received += headerLength(data.length) + data.length;
    if (this.received > this.cutAt) this.socket.terminate();
    else super.message(data);
  }

  boundary(seq) {
    const pending = [...this.first];
    if (this.since > 0 && pending.length > 0 && seq > this.since)
      this.violation(`a boundary at ${seq} of a resume at ${this.since}, while ${pending} had not come`);
    super.boundary(seq);
  }

  on_reset(frame) {
    super.on_reset(frame);
    this.resets++;
  }

  /** Another one at the same place, holding the same: what it receives is what this one would. */
  twin() {
    const twin = new Traveller(this.url);
    twin.cursor = twin.since = this.cursor;
    twin.rows = new Map([...this.rows].map(([sub, rows]) => [sub, new Map(rows)]));
    return twin;
  }
}
