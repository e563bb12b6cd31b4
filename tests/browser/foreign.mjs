// A page of another site, in a real browser, tries to write to Redis over HTTP in every way that a page has; then a page of our
// own does the same. Called with one JSON document; prints one: {ATTACK: what the page saw}.
//   target   http://127.0.0.1:PORT of Holdfast        page     path there of a page of our own
//   foreign  port of a server whose pages are foreign: evil.example and rebound.example lead to 127.0.0.1 in this browser
import { chromium } from 'playwright-core';

const { target, page: ownPage, foreign, executable } = JSON.parse(process.argv[2]);
const port = new URL(target).port;
const evil = `http://evil.example:${foreign}/`;
const rebound = `http://rebound.example:${port}`;

const browser = await chromium.launch({
  executablePath: executable, timeout: 120000,
  args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
    '--disable-component-update', '--disable-sync', '--host-resolver-rules=MAP *.example 127.0.0.1',
    // what a browser adds of itself would hide what the server does; older ones have none of it
    '--disable-features=LocalNetworkAccessChecks,BlockInsecurePrivateNetworkRequests,PrivateNetworkAccessSendPreflights'],
});
const results = {};

// What runs in the page. Each attack ends when the browser has had its answer, whatever that is.
const attacks = {
  image: (t) => new Promise((done) => { const i = new Image(); i.onload = () => done('loaded'); i.onerror = () => done('error'); i.src = `${t}/SET/image/x`; }),
  image_without_referrer: (t) => new Promise((done) => {
    const i = new Image(); i.referrerPolicy = 'no-referrer'; i.onload = () => done('loaded'); i.onerror = () => done('error'); i.src = `${t}/SET/quiet/x`;
  }),
  script: (t) => new Promise((done) => {
    const s = document.createElement('script'); s.onload = () => done('loaded'); s.onerror = () => done('error'); s.src = `${t}/SET/script/x.js?jsonp=alert`; document.head.append(s);
  }),
  iframe: (t) => new Promise((done) => { const f = document.createElement('iframe'); f.onload = () => done('ended'); f.src = `${t}/SET/iframe/x.html`; document.body.append(f); }),
  form: (t) => new Promise((done) => {
    const f = document.createElement('iframe'); f.name = 'formframe'; document.body.append(f);
    f.onload = () => done('ended');
    const form = document.createElement('form'); form.method = 'POST'; form.enctype = 'text/plain'; form.action = `${t}/`; form.target = 'formframe';
    const i = document.createElement('input'); i.name = 'SET/form/x'; i.value = ''; form.append(i); document.body.append(form); form.submit();
  }),
  fetch_get: async (t) => { const r = await fetch(`${t}/SET/get/x`, { mode: 'no-cors' }); return r.type; },
  fetch_post: async (t) => { const r = await fetch(`${t}/`, { method: 'POST', mode: 'no-cors', body: 'SET/post/x' }); return r.type; },
  fetch_json: async (t) => (await fetch(`${t}/`, { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: '["SET","json","x"]' })).status,
  fetch_put: async (t) => (await fetch(`${t}/SET/put`, { method: 'PUT', body: 'x' })).status,
  fetch_read: async (t) => (await fetch(`${t}/GET/secret`)).text(),
  beacon: (t) => navigator.sendBeacon(`${t}/`, 'SET/beacon/x'),
  events: (t) => new Promise((done) => { const e = new EventSource(`${t}/SUBSCRIBE/c`); e.onopen = () => { e.close(); done('open'); }; e.onerror = () => { e.close(); done('error'); }; }),
  socket: (t) => new Promise((done) => {
    const s = new WebSocket(`${t.replace('http:', 'ws:')}/`);
    s.onopen = () => s.send('["SET","socket","x"]'); s.onmessage = () => { s.close(); done('answered'); }; s.onerror = () => done('error');
  }),
};

async function run(page, name, attack, at) {
  try {
    results[name] = await page.evaluate(`(${attack})(${JSON.stringify(at)})`);
  } catch (e) {
    results[name] = `error: ${String(e).split('\n')[0]}`;
  }
}

const page = await browser.newPage();
page.setDefaultTimeout(120000);
await page.goto(evil);
for (const [name, attack] of Object.entries(attacks)) await run(page, name, attack, target);
// the user is led there
await page.goto(evil);
results.navigation = (await Promise.all([page.waitForURL(`${target}/**`), page.evaluate(`location.href = '${target}/SET/navigation/x'`)]).then(() => page.content(), String)).slice(0, 300);

// a name of the attacker that leads to our address by now: for the browser all of it is one site
await page.goto(`${rebound}/healthz`);
for (const name of ['fetch_get', 'fetch_post', 'fetch_json', 'fetch_put', 'fetch_read', 'socket']) await run(page, `rebound_${name}`, attacks[name], rebound);

// a page of our own may all of it
await page.goto(`${target}${ownPage}`);
for (const name of ['fetch_get', 'fetch_post', 'fetch_json', 'fetch_put', 'fetch_read', 'events', 'socket']) await run(page, `own_${name}`, attacks[name], target);
await browser.close();
console.log(JSON.stringify(results));
