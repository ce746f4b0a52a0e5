// A minimal client of the exchange for Node.js, written from docs/reference/protocol.md alone.
//
//     npm install && node client.js tcp://127.0.0.1:5555 tcp://127.0.0.1:5556 7
//
// `Session` is the private side: hello, login, commands, positions, replay after a reconnect.  `Book` follows the public
// side: snapshot and deltas.  `main` is a fixed conversation that prints what it sees; a test compares it with what the
// Python client sees.
"use strict";

const zmq = require("zeromq");
const { decode, decodeMulti, encode } = require("@msgpack/msgpack");

const CONTROL = 0, POSITION = 127;
const DEPOSIT = 2, PLACE_ORDER = 7, CANCEL_ORDER = 8;
const ACCEPTED = 128;
// 64-bit integers stay exact.  A Number above 2^32 would leave as a float, which no field is: write 5_000_000_000n.
const BIG = { useBigInt64: true };

const text = (value) => (Array.isArray(value) ? `[${value.map(text).join(",")}]` : String(value));

class Session {
  constructor(endpoint, account, key, say) {
    Object.assign(this, { endpoint, account, key, say });
    this.requestId = 0; // never used twice under one key
    this.number = null; // of the last event seen
    this.epoch = 0;
    this.waiting = new Map(); // request id -> resolve
  }

  async connect() {
    this.socket = new zmq.Dealer({ linger: 1000 });
    this.socket.connect(this.endpoint);
    this.reading = this.read(this.socket);
    const hello = await this.ask("hello", { versions: [1], client: "node-example/1.0", heartbeat_ms: 0 });
    this.say(`hello version ${hello.version}`);
    const after = this.number === null ? {} : { after: this.number, epoch: this.epoch };
    const login = await this.ask("login", { account: this.account, client: this.key, ...after });
    if (login.missed) this.say("missed: ask for account, positions and orders");
    if (this.number === null || login.missed) this.number = Number(login.number);
    this.epoch = login.epoch;
    this.say(`login number ${login.number}`);
    while (this.number < Number(login.number)) await new Promise((resolve) => setTimeout(resolve, 5)); // the replay
  }

  // Leaves without a word, as a crash would.
  async drop() {
    this.socket.close();
    await this.reading;
  }

  async logout() {
    await this.ask("logout", {});
    this.socket.close();
    await this.reading;
  }

  async read(socket) {
    for await (const [payload] of socket) this.receive(payload);
  }

  receive(payload) {
    const arrays = [...decodeMulti(payload, BIG)];
    if (arrays[0][0] === CONTROL) {
      const [, requestId, body] = arrays[0];
      if (Number(requestId) !== 0) this.answer(Number(requestId), body);
      else if (body.error) throw new Error(`${body.error}: ${body.message}`); // of nothing that it could name
      return; // a heartbeat, or that the node is about to stop: neither wants an answer
    }
    const next = new Map(); // account -> number of its next event in this message
    const replies = new Map();
    for (const [type, second, third, ...fields] of arrays) {
      if (type === POSITION) {
        next.set(second, Number(third)); // [127, account, number]
        continue;
      }
      const [requestId, account] = [Number(second), third]; // [type, request_id, account, sequence, field...]
      const number = next.get(account);
      next.set(account, number + 1);
      if (requestId) replies.set(requestId, [...(replies.get(requestId) ?? []), { type, fields }]);
      if (account === this.account && number === this.number + 1) {
        this.number = number; // a lower one was there already
        this.say(`event ${number} [${text([type, account, ...fields]).slice(1, -1)}]`);
      }
    }
    for (const [requestId, events] of replies) this.answer(requestId, events); // whole: it is never cut in two
  }

  answer(requestId, what) {
    const resolve = this.waiting.get(requestId);
    this.waiting.delete(requestId);
    if (resolve) resolve(what);
  }

  wait(requestId) {
    return new Promise((resolve) => this.waiting.set(requestId, resolve));
  }

  async ask(name, args) {
    const requestId = ++this.requestId;
    const answer = this.wait(requestId);
    await this.socket.send(encode([CONTROL, requestId, name, args], BIG));
    const body = await answer;
    if (body.error) throw new Error(`${name}: ${body.error}: ${body.message}`);
    return body;
  }

  // Commands in one message; each is [type, field...] without request id and account.  One promise for each reply.
  async send(...commands) {
    const arrays = commands.map(([type, ...fields]) => [type, ++this.requestId, this.account, ...fields]);
    const replies = arrays.map(([, requestId]) => this.wait(requestId));
    await this.socket.send(Buffer.concat(arrays.map((array) => encode(array, BIG))));
    return replies;
  }

  async command(command) {
    const [reply] = await this.send(command);
    return reply;
  }
}

class Book {
  constructor(endpoint, name, symbol, session) {
    Object.assign(this, { topic: `book.${name}`, symbol, session, epoch: -1, sequence: -1, joined: false });
    this.bids = new Map();
    this.asks = new Map();
    this.socket = new zmq.Subscriber({ linger: 0 });
    this.socket.connect(endpoint);
    this.socket.subscribe(this.topic);
  }

  // The next message of our topic: ZeroMQ filters by prefix, so another one may come through.
  async next() {
    for (;;) {
      const [topic, payload] = await this.socket.receive();
      if (topic.toString() === this.topic) return decode(payload, BIG);
    }
  }

  async follow() {
    const delta = await this.next(); // the first says that the subscription is at work
    if (!this.joined) await this.snapshot();
    if (delta.epoch === this.epoch && Number(delta.sequence) <= this.sequence) return; // in the snapshot already
    if (delta.epoch !== this.epoch || Number(delta.sequence) !== this.sequence + 1) {
      await this.snapshot(); // a gap, or another run of the node
      return;
    }
    this.apply(delta);
    this.sequence = Number(delta.sequence);
  }

  async snapshot() {
    const whole = await this.session.ask("get_book", { symbol: this.symbol, depth: 0 });
    this.bids.clear();
    this.asks.clear();
    this.apply(whole);
    [this.epoch, this.sequence, this.joined] = [whole.epoch, Number(whole.sequence), true];
  }

  apply({ bids, asks }) {
    for (const [side, levels] of [[this.bids, bids], [this.asks, asks]]) {
      for (const [price, lots, orders] of levels) {
        if (Number(lots)) side.set(Number(price), [lots, orders]);
        else side.delete(Number(price));
      }
    }
  }

  toString() {
    const line = (side, sign) => [...side.keys()].sort((a, b) => sign * (a - b))
      .map((price) => `${price}:${side.get(price).join(":")}`).join(" ");
    return `bids ${line(this.bids, -1)} asks ${line(this.asks, 1)}`;
  }

  close() {
    this.socket.close();
  }
}

// A limit order to buy of symbol 1, good till cancelled.
const bid = (priceTicks, lots, clientOrderId) => [PLACE_ORDER, 1, 0, 0, 0, 0, 0, priceTicks, lots, clientOrderId];

async function main([orders, marketData, account, key]) {
  const say = (line) => console.log(line);
  const session = new Session(orders, Number(account), BigInt(key ?? Date.now()), say);
  await session.connect();
  const book = new Book(marketData, "BTC-PERP", 1, session);
  await book.follow();
  say(`joined ${book}`);
  await session.command([DEPOSIT, 10_000n * 10n ** 8n]);
  const [accepted] = await session.command(bid(599900, 5, 11));
  if (accepted.type !== ACCEPTED) throw new Error("the bid was refused");
  const orderId = accepted.fields[3]; // behind sequence, command and time
  await session.command(bid(599900, 5, 11)); // the same client order id: nothing happens twice
  await Promise.all(await session.send(bid(599800, 3, 12), bid(-1, 3, 13))); // one message; the second is rejected
  // The connection breaks while a command is under way.
  const [reply] = await session.send([CANCEL_ORDER, orderId]);
  await session.drop();
  await session.connect();
  say(`the cancel was ${(await reply)[0].type === ACCEPTED ? "done" : "refused"}`);
  while (book.bids.has(599900) || !book.bids.has(599800)) await book.follow();
  say(`book ${book}`);
  book.close();
  await session.logout();
  say("goodbye");
}

main(process.argv.slice(2)).catch((error) => {
  console.error(error);
  process.exit(1);
});
