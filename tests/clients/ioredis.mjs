// ioredis: see test_client_libraries.py for what each program does and says.
import assert from "node:assert/strict";
import { once } from "node:events";
import { createInterface } from "node:readline";
import Redis from "ioredis";

const port = Number(process.argv[2]);
const say = (word) => process.stdout.write(`${word}\n`);

async function connect() {
  const r = new Redis({
    port,
    maxRetriesPerRequest: 0,
    retryStrategy: () => null, // what breaks is an error here
  });
  r.on("error", (e) => { throw e; });
  await once(r, "ready");
  r.on("close", () => { throw new Error("closed"); });
  return r;
}

const r = await connect(), other = await connect();
await r.client("SETNAME", "io");
assert.equal(await r.client("GETNAME"), "io");
await r.del("io:s", "io:n", "io:l", "io:x", "io:big");
say("connect");

const pipe = r.pipeline();
for (let i = 0; i < 1000; i++) pipe.set(`io:p:${i}`, i).get(`io:p:${i}`);
const replies = await pipe.exec();
assert.deepEqual(replies.map((x) => x[1]), Array.from({ length: 1000 }, (_, i) => ["OK", String(i)]).flat());
say("pipeline");

await r.set("io:n", 1);
await r.watch("io:n");
let seen = Number(await r.get("io:n"));
assert.deepEqual(await r.multi().set("io:n", seen + 1).get("io:n").exec(), [[null, "OK"], [null, "2"]]);
await r.watch("io:n");
await other.incr("io:n");
assert.equal(await r.multi().set("io:n", 99).exec(), null);
assert.equal(await r.get("io:n"), "3");
say("transaction");

const subscriber = await connect(), got = [], wanted = [];
const take = () => (got.length ? Promise.resolve(got.shift()) : new Promise((done) => wanted.push(done)));
const give = (message) => (wanted.length ? wanted.shift()(message) : got.push(message));
subscriber.on("message", (_, message) => give(message));
subscriber.on("pmessage", (_, __, message) => give(message));
assert.equal(await subscriber.subscribe("io:c"), 1);
assert.equal(await subscriber.psubscribe("io:d*"), 2);
assert.equal(await r.publish("io:c", "one"), 1);
assert.equal(await r.publish("io:d1", "two"), 1);
assert.deepEqual([await take(), await take()], ["one", "two"]);
say("pubsub");

const popper = await connect();
const popped = popper.blpop("io:l", 20);
await other.rpush("io:l", "v");
assert.deepEqual(await popped, ["io:l", "v"]);
assert.equal(await popper.blpop("io:none", 1), null);
say("blocking");

r.defineCommand("add", { numberOfKeys: 1, lua: "return redis.call('INCRBY', KEYS[1], ARGV[1])" });
await r.script("FLUSH");
assert.equal(await r.add("io:n", 10), 13); // EVALSHA, NOSCRIPT, EVAL
say("script");

const ids = [];
for (let i = 0; i < 3; i++) ids.push(await r.xadd("io:x", "*", "n", i));
await r.xgroup("CREATE", "io:x", "g", "0");
const [[, entries]] = await r.xreadgroup("GROUP", "g", "me", "COUNT", 2, "STREAMS", "io:x", ">");
assert.deepEqual(entries.map((e) => e[0]), ids.slice(0, 2));
assert.equal(await r.xack("io:x", "g", ids[0]), 1);
assert.equal((await r.xpending("io:x", "g"))[0], 1);
say("stream");

async function scanAll() {
  const found = new Set();
  for await (const keys of r.scanStream({ match: "io:p:*", count: 100 })) keys.forEach((k) => found.add(k));
  return found.size;
}
assert.equal(await scanAll(), 1000);
say("scan");

const big = "0123456789abcdef".repeat(1 << 20);
assert.equal(await r.set("io:big", big), "OK");
assert.ok((await r.get("io:big")) === big);
assert.equal(await r.del("io:big"), 1);
say("big");

// --- across a failover: the same connections go on ---
const identify = () => Promise.all([r, other, popper].map((c) => c.client("ID")));
const before = await identify();
const watcher = await connect();
await watcher.watch("io:n");
seen = Number(await watcher.get("io:n"));
say("FAILOVER");
await once(createInterface({ input: process.stdin }), "line");
// a read first, which waits for the new master: what a write on its way to the dying one says is another test's
assert.equal(await r.get("io:n"), String(seen));
assert.equal(await r.set("io:after", "v"), "OK");
assert.deepEqual(await identify(), before);
assert.equal(await watcher.multi().set("io:n", seen + 1).exec(), null);
assert.equal(await r.add("io:n", 1), seen + 1);
const end = Date.now() + 60000;
while (await r.publish("io:c", "three") === 0) assert.ok(Date.now() < end, "the subscription"); // it comes to the new master on its own
assert.equal(await take(), "three");
assert.deepEqual((await r.multi().incr("io:n").get("io:n").exec()).map((x) => x[1]), [seen + 2, String(seen + 2)]);
assert.equal(await scanAll(), 1000);
say("failover");
process.exit(0);
