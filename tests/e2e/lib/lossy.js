// A network that loses packets, between a page and the server: a UDP relay whose address is put
// into the server's answer in place of its own.
import dgram from "node:dgram";

export class LossyNetwork {
  /** The share of datagrams lost each way, 0 to 1. */
  loss = 0;
  passed = 0;
  lost = 0;
  #relays = [];
  #seed = 1;

  /** Sends every connection that this page makes through the network; call it before `goto`. */
  async attach(page) {
    await page.route("**/whep", async (route) => {
      const answer = await route.fetch();
      let body = await answer.text();
      for (const [candidate, address, port] of body.matchAll(/^a=candidate:\S+ 1 udp \d+ (\S+) (\d+) typ host.*$/gim)) {
        const relay = await this.#relay(address, Number(port));
        body = body.replace(candidate, candidate.replace(` ${port} typ`, ` ${relay} typ`));
      }
      await route.fulfill({ response: answer, body });
    });
  }

  close() {
    for (const relay of this.#relays) relay.close();
  }

  async #relay(address, port) {
    const front = dgram.createSocket("udp4");
    this.#relays.push(front);
    const clients = new Map();
    front.on("message", (data, from) => {
      const key = `${from.address}:${from.port}`;
      let back = clients.get(key);
      if (back === undefined) {
        back = dgram.createSocket("udp4");
        this.#relays.push(back);
        clients.set(key, back);
        back.on("message", (reply) => this.#pass(() => front.send(reply, from.port, from.address)));
      }
      this.#pass(() => back.send(data, port, address));
    });
    await new Promise((resolve) => front.bind(0, "127.0.0.1", resolve));
    return front.address().port;
  }

  /** Linear congruence instead of Math.random: the same losses in every run. */
  #pass(send) {
    this.#seed = (Math.imul(this.#seed, 1103515245) + 12345) >>> 0;
    if ((this.#seed >>> 8) / 2 ** 24 < this.loss) {
      this.lost += 1;
      return;
    }
    this.passed += 1;
    send();
  }
}
