// A path between a page and the server that has a length, a width and holes: a UDP relay in this process, whose address is put into
// the server's answers in place of its own. Seeded, so that a run loses the same packets as the one before.
import dgram from "node:dgram";
import { random } from "./random.js";

/** What the IP and UDP headers of a datagram take (RFC 791, RFC 768). */
const HEADERS = 28;

/** How a path is when nothing is said of it. */
export const GOOD = {
  /** The share of datagrams lost, 0 to 1. */
  loss: 0,
  /** One way, milliseconds. */
  delay: 0,
  /** And up to so many more, milliseconds; the order is kept. */
  jitter: 0,
  /** The share of datagrams that others overtake, by `late` milliseconds. */
  reordered: 0,
  late: 20,
  /** Bits per second of IP that the path takes; nothing for as many as come. */
  rate: undefined,
  /** The longest queue before it, milliseconds: what finds it full is lost. */
  queue: 2000,
  /** Nothing passes. */
  down: false,
};

/** One direction. */
class Link {
  passed = 0;
  lost = 0;
  /** What found the queue full; counted as lost, too. */
  overflown = 0;
  bytes = 0;
  /** The longest wait in the queue since the last look, milliseconds. */
  longestWait = 0;
  #conditions = GOOD;
  #random;
  #free = 0;
  #last = 0;
  #waiting = [];
  #timer;

  constructor(seed) {
    this.#random = random(seed);
  }

  set(conditions) {
    this.#conditions = conditions;
  }

  send(length, deliver) {
    const { loss, delay, jitter, reordered, late, rate, queue, down } = this.#conditions;
    const now = performance.now();
    // Drawn whatever the conditions are, so that they decide about the same numbers.
    const [lot, spread, turn] = [this.#random(), this.#random(), this.#random()];
    if (down || lot < loss) {
      this.lost += 1;
      return;
    }
    let at = now;
    if (rate !== undefined) {
      const wait = Math.max(0, this.#free - now);
      if (wait > queue) {
        this.lost += 1;
        this.overflown += 1;
        return;
      }
      this.longestWait = Math.max(this.longestWait, wait);
      this.#free = Math.max(this.#free, now) + ((length + HEADERS) * 8000) / rate;
      at = this.#free;
    }
    this.passed += 1;
    this.bytes += length + HEADERS;
    at += delay + jitter * spread;
    if (turn < reordered) {
      at += late;
    } else {
      at = Math.max(at, this.#last);
      this.#last = at;
    }
    if (at <= now && this.#waiting.length === 0) {
      deliver();
      return;
    }
    let place = this.#waiting.length;
    while (place > 0 && this.#waiting[place - 1].at > at) place -= 1;
    this.#waiting.splice(place, 0, { at, deliver });
    if (place === 0) this.#arm();
  }

  /** How long what comes now would wait, milliseconds. */
  backlog() {
    return Math.max(0, this.#free - performance.now());
  }

  close() {
    clearTimeout(this.#timer);
    this.#waiting = [];
  }

  #arm() {
    clearTimeout(this.#timer);
    if (this.#waiting.length === 0) return;
    this.#timer = setTimeout(() => {
      const now = performance.now();
      while (this.#waiting.length > 0 && this.#waiting[0].at <= now) this.#waiting.shift().deliver();
      this.#arm();
    }, Math.max(0, this.#waiting[0].at - performance.now()));
  }
}

/** The path of all connections of a page. */
export class Relay {
  /** From the server to the page, and back. */
  down;
  up;
  #sockets = [];
  /** Relays by the address that they stand for. */
  #fronts = new Map();
  #conditions = { ...GOOD };

  constructor({ seed = 1, ...conditions } = {}) {
    this.down = new Link(seed);
    this.up = new Link(seed ^ 0x5eed);
    this.set(conditions);
  }

  /** Changes what is named; the rest stays. */
  set(conditions) {
    Object.assign(this.#conditions, conditions);
    this.down.set(this.#conditions);
    this.up.set(this.#conditions);
  }

  get lost() {
    return this.down.lost + this.up.lost;
  }

  get passed() {
    return this.down.passed + this.up.passed;
  }

  /** How long what is sent to the page now waits, milliseconds. */
  backlog() {
    return this.down.backlog();
  }

  /** The longest wait before the path to the page since the last look, milliseconds. */
  takeLongestWait() {
    const longest = this.down.longestWait;
    this.down.longestWait = 0;
    return longest;
  }

  /** Sends every connection that this page makes through the relay; call it before `goto`. */
  async attach(page) {
    // An offer, and a restart of ICE (PATCH).
    await page.route(/\/whep(\/[^/]+)?$/, async (route) => {
      if (!["POST", "PATCH"].includes(route.request().method())) {
        await route.continue();
        return;
      }
      let answer;
      try {
        answer = await route.fetch();
      } catch {
        await route.abort().catch(() => {});
        return;
      }
      const body = await this.rewrite(await answer.text());
      await route.fulfill({ response: answer, body }).catch(() => {});
    });
  }

  /** A description whose candidates are this relay's. Those over TCP would go past it. */
  async rewrite(description) {
    let body = description.replace(/^a=candidate:\S+ 1 tcp .*\r?\n/gim, "");
    for (const [candidate, address, port] of body.matchAll(/^a=candidate:\S+ 1 udp \d+ (\S+) (\d+) typ host.*$/gim)) {
      const front = await this.#front(address, Number(port));
      body = body.replace(candidate, candidate.replace(` ${port} typ`, ` ${front} typ`));
    }
    return body;
  }

  /** What a home router does that was restarted: the server sees the page at another port, of which the page knows nothing. */
  rebind() {
    for (const front of this.#fronts.values()) front.rebind();
  }

  /** The way that there was is no more: nothing passes but for who asks for the way anew. */
  move() {
    for (const front of this.#fronts.values()) front.close();
    this.#fronts.clear();
  }

  close() {
    this.down.close();
    this.up.close();
    for (const socket of this.#sockets) socket.close();
    this.#sockets = [];
  }

  #socket(address) {
    const socket = dgram.createSocket(address.includes(":") ? "udp6" : "udp4");
    socket.on("error", () => {});
    this.#sockets.push(socket);
    return socket;
  }

  async #front(address, port) {
    const key = `${address} ${port}`;
    const known = this.#fronts.get(key);
    if (known) return known.port;
    const socket = this.#socket(address);
    let open = true;
    let backs = new Map();
    socket.on("message", (data, from) => {
      if (!open) return;
      const name = `${from.address} ${from.port}`;
      let back = backs.get(name);
      if (back === undefined) {
        back = this.#socket(address);
        backs.set(name, back);
        const mine = backs;
        back.on("message", (reply) => {
          // What comes to a port that is no more finds nobody.
          if (open && mine === backs) this.down.send(reply.length, () => send(socket, reply, from.port, from.address));
        });
      }
      this.up.send(data.length, () => send(back, data, port, address));
    });
    await new Promise((resolve) => socket.bind(0, address, resolve));
    const front = {
      port: socket.address().port,
      close: () => (open = false),
      rebind: () => (backs = new Map()),
    };
    this.#fronts.set(key, front);
    return front.port;
  }
}

function send(socket, data, port, address) {
  try {
    socket.send(data, port, address);
  } catch {
    // It was closed meanwhile.
  }
}
