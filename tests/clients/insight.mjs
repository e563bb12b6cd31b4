// What a browser of data such as Redis Insight sends, by either library of node.js: node insight.mjs ioredis|node-redis PORT. It logs in, names
// itself, finds out what it is connected to, and looks at everything. Prints one JSON document: what it asked and what came, as text.
import assert from "node:assert/strict";
import { once } from "node:events";

const [library, port] = [process.argv[2], Number(process.argv[3])];
const LOGIN = { username: "insight", password: "secret" };
const NAME = "redisinsight-browser-1";

// Each gives { call, monitor, psubscribe } over connections of its library, logged in and in database 3.
const libraries = {
  async ioredis() {
    const { default: Redis } = await import("ioredis");
    const connect = async (more = {}) => {
      const r = new Redis({ port, ...LOGIN, db: 3, connectionName: NAME, maxRetriesPerRequest: 0, retryStrategy: () => null, ...more });
      r.on("error", (e) => { throw e; });
      await once(r, "ready");
      return r;
    };
    const main = await connect();
    return {
      call: (...words) => main.call(...words),
      async monitor(f) {
        // It throws where nobody can catch it when the first line comes in one packet with the OK: once more then.
        for (let m = null; m === null;) {
          const thrown = new Promise((_, fail) => { process.once("uncaughtException", fail); });
          m = await Promise.race([(await connect()).monitor(), thrown]).catch((e) => { assert.match(e.message, /Command queue state/); return null; });
          m?.on("monitor", (_time, words, _source, database) => f(words, Number(database)));
        }
        process.removeAllListeners("uncaughtException");
      },
      async psubscribe(pattern, f) {
        const s = await connect();
        s.on("pmessage", (_pattern, channel, message) => f(channel, message));
        await s.psubscribe(pattern);
      },
      // the same before a login, and with a wrong one
      async refused() {
        const r = new Redis({ port, username: LOGIN.username, password: "wrong", maxRetriesPerRequest: 0, retryStrategy: () => null });
        return (await once(r, "error"))[0].message;
      },
    };
  },
  async "node-redis"() {
    const { createClient } = await import("redis");
    const connect = async (login = LOGIN) => {
      const r = createClient({ ...login, name: NAME, database: 3, socket: { port, host: "127.0.0.1", reconnectStrategy: false } });
      r.on("error", () => {});
      return r.connect();
    };
    const main = await connect();
    return {
      call: (...words) => main.sendCommand(words.map(String)),
      async monitor(f) {
        await (await connect()).monitor((line) => {
          const [, database, words] = /^[\d.]+ \[(\d+) [^\]]*\] (.*)$/.exec(String(line));
          f([...words.matchAll(/"((?:\\.|[^"])*)"/g)].map((m) => m[1]), Number(database));
        });
      },
      psubscribe: async (pattern, f) => (await connect()).pSubscribe(pattern, (message, channel) => f(channel, message)),
      refused: () => connect({ ...LOGIN, password: "wrong" }).then(() => "let in", (e) => e.message),
    };
  },
};

const ASKED = `
  CLIENT GETNAME|CLIENT SETNAME ${NAME}-2|CLIENT GETNAME|CLIENT SETINFO LIB-NAME insight|CLIENT LIST
  SELECT 99|SELECT 3|PING|INFO|INFO server|INFO keyspace|INFO memory|MODULE LIST|COMMAND|COMMAND COUNT|COMMAND INFO get nosuch|COMMAND DOCS get|COMMAND DOCS
  CONFIG GET databases|CONFIG GET slowlog*|CONFIG GET notify-keyspace-events|DBSIZE
  SENTINEL MASTERS|SENTINEL MASTER main|CLUSTER INFO|CLUSTER NODES|CLUSTER SLOTS|FT._LIST|JSON.GET nothing
  SET text value|HSET hash a 1 b 2|RPUSH list a b c|SADD set x y|ZADD zset 1 a|XADD stream 1-1 f v|EXPIRE text 1000
  SCAN 0 MATCH * COUNT 10000 TYPE string|SCAN 0 COUNT 10000 TYPE hash|SCAN 0 MATCH li* COUNT 10000 TYPE list|SCAN 0 COUNT 10000 TYPE nothing|SCAN x
  TYPE text|TYPE stream|OBJECT ENCODING list|MEMORY USAGE text SAMPLES 0|MEMORY USAGE nothing|MEMORY STATS|HSCAN hash 0 COUNT 100|SSCAN set 0|ZSCAN zset 0
  XINFO STREAM stream|XRANGE stream - + COUNT 10|LRANGE list 0 -1|GETRANGE text 0 2
  SLOWLOG LEN|SLOWLOG GET 10|CONFIG SET slowlog-log-slower-than 0|SLOWLOG RESET|SLOWLOG GET 1|CONFIG SET slowlog-log-slower-than 10000
  ACL WHOAMI|ACL CAT|ACL CAT read|ACL GETUSER insight|ACL USERS|ACL DRYRUN insight GET x|LATENCY LATEST|PUBSUB CHANNELS news*|UNKNOWN command
`.split(/[|\n]/).map((s) => s.trim()).filter((s) => s !== "");

const plain = (x) => (Buffer.isBuffer(x) ? x.toString() : Array.isArray(x) ? x.map(plain) : x instanceof Map ? [...x].flat().map(plain)
  : x !== null && typeof x === "object" ? Object.entries(x).flat().map(plain) : x);
const c = await libraries[library]();
const answers = [];
for (const line of ASKED) {
  answers.push([line, await c.call(...line.split(" ")).then(plain, (e) => ({ error: e.message }))]);
}
const seen = [], heard = [];
let more = () => {};
const until = async (ready) => { while (!ready()) { await new Promise((done) => { more = done; }); } };
await c.monitor((words, database) => { seen.push([database, ...words]); more(); });
await c.call("SET", "watched", "a \"b\"");
await until(() => seen.some((w) => w[1].toUpperCase() === "SET"));
// sentinels speak through the server, too
await c.psubscribe("*", (channel, message) => { if (channel !== "__sentinel__:hello") { heard.push([channel, message]); } more(); });
assert.ok((await c.call("PUBLISH", "news", "hello")) >= 1);
await until(() => heard.length > 0);
const told = { answers, seen: seen.filter((w) => w[1].toUpperCase() === "SET"), heard, refused: await c.refused() };
process.stdout.write(`${JSON.stringify(told)}\n`, () => process.exit(0));
