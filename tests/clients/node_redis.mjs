// node-redis, which speaks RESP3: see test_client_libraries.py for what each program does and says.
import assert from "node:assert/strict";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { createClient, defineScript, WatchError } from "redis";

const port = Number(process.argv[2]);
const say = (word) => process.stdout.write(`${word}\n`);
const add = defineScript({
  SCRIPT: "return redis.call('INCRBY', KEYS[1], ARGV[1])",
  NUMBER_OF_KEYS: 1,
  parseCommand(parser, key, n) { parser.pushKey(key); parser.push(String(n)); },
  transformReply: (reply) => reply,
});

async function connect() {
  const r = createClient({
    RESP: 3,
    scripts: { add },
    socket: { port, host: "127.0.0.1", reconnectStrategy: false }, // what breaks is an error here
  });
  r.on("error", (e) => { throw e; });
  return r.connect();
}

const r = await connect(), other = await connect();
await r.sendCommand(["CLIENT", "SETNAME", "nr"]);
assert.equal(await r.clientGetName(), "nr");
await r.del(["nr:s", "nr:n", "nr:l", "nr:x", "nr:big", "nr:h", "nr:z"]);
await r.hSet("nr:h", { a: "1", b: "2" });
assert.deepEqual({ ...(await r.hGetAll("nr:h")) }, { a: "1", b: "2" }); // a RESP3 map
await r.zAdd("nr:z", { score: 1.5, value: "v" });
assert.equal(await r.zScore("nr:z", "v"), 1.5); // a RESP3 double
say("connect");

const replies = await Promise.all(Array.from({ length: 1000 }, (_, i) => [r.set(`nr:p:${i}`, i), r.get(`nr:p:${i}`)]).flat());
assert.deepEqual(replies, Array.from({ length: 1000 }, (_, i) => ["OK", String(i)]).flat());
say("pipeline");

await r.set("nr:n", 1);
await r.watch("nr:n");
let seen = Number(await r.get("nr:n"));
assert.deepEqual(await r.multi().set("nr:n", seen + 1).get("nr:n").exec(), ["OK", "2"]);
await r.watch("nr:n");
await other.incr("nr:n");
await assert.rejects(r.multi().set("nr:n", 99).exec(), WatchError);
assert.equal(await r.get("nr:n"), "3");
say("transaction");

const subscriber = await connect(), got = [], wanted = [];
const take = () => (got.length ? Promise.resolve(got.shift()) : new Promise((done) => wanted.push(done)));
const give = (message) => (wanted.length ? wanted.shift()(message) : got.push(message));
await subscriber.subscribe("nr:c", give);
await subscriber.pSubscribe("nr:d*", give);
assert.equal(await subscriber.ping(), "PONG"); // RESP3: commands beside the subscriptions
assert.equal(await r.publish("nr:c", "one"), 1);
assert.equal(await r.publish("nr:d1", "two"), 1);
assert.deepEqual([await take(), await take()], ["one", "two"]);
say("pubsub");

const popper = await connect();
const popped = popper.blPop("nr:l", 20);
await other.rPush("nr:l", "v");
assert.deepEqual({ ...(await popped) }, { key: "nr:l", element: "v" });
assert.equal(await popper.blPop("nr:none", 1), null);
say("blocking");

await r.scriptFlush();
assert.equal(await r.add("nr:n", 10), 13); // EVALSHA, NOSCRIPT, EVAL
say("script");

const ids = [];
for (let i = 0; i < 3; i++) ids.push(await r.xAdd("nr:x", "*", { n: String(i) }));
await r.xGroupCreate("nr:x", "g", "0");
const read = await r.sendCommand(["XREADGROUP", "GROUP", "g", "me", "COUNT", "2", "STREAMS", "nr:x", ">"]);
assert.deepEqual(read["nr:x"].map((e) => e[0]), ids.slice(0, 2));
assert.equal(await r.xAck("nr:x", "g", ids[0]), 1);
assert.equal((await r.xPending("nr:x", "g")).pending, 1);
say("stream");

async function scanAll() {
  const found = new Set();
  for await (const keys of r.scanIterator({ MATCH: "nr:p:*", COUNT: 100 })) [keys].flat().forEach((k) => found.add(k));
  return found.size;
}
assert.equal(await scanAll(), 1000);
say("scan");

const big = "0123456789abcdef".repeat(1 << 20);
assert.equal(await r.set("nr:big", big), "OK");
assert.ok((await r.get("nr:big")) === big);
assert.equal(await r.del("nr:big"), 1);
say("big");

// --- across a failover: the same connections go on ---
const identify = () => Promise.all([r, other, popper].map((c) => c.clientId()));
const before = await identify();
const watcher = await connect();
await watcher.watch("nr:n");
seen = Number(await watcher.get("nr:n"));
say("FAILOVER");
await once(createInterface({ input: process.stdin }), "line");
// a read first, which waits for the new master: what a write on its way to the dying one says is another test's
assert.equal(await r.get("nr:n"), String(seen));
assert.equal(await r.set("nr:after", "v"), "OK");
assert.deepEqual(await identify(), before);
await assert.rejects(watcher.multi().set("nr:n", seen + 1).exec(), WatchError);
assert.equal(await r.add("nr:n", 1), seen + 1);
const end = Date.now() + 60000;
while (await r.publish("nr:c", "three") === 0) assert.ok(Date.now() < end, "the subscription"); // it comes to the new master on its own
assert.equal(await take(), "three");
assert.deepEqual(await r.multi().incr("nr:n").get("nr:n").exec(), [seen + 2, String(seen + 2)]);
assert.equal(await scanAll(), 1000);
say("failover");
process.exit(0);
