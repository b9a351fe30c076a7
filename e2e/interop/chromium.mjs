// A page in a real browser. Standard input has one request a line,
// {"page","url","init"}: from that page, fetch(url, init). Each is answered with
// what the page could read, {"status","headers","body"}, or {"error"}.
//
// What it checks that others do not: CORS is the browser's to enforce. It alone
// sends preflights, and keeps an answer from a page.
import { createInterface } from 'node:readline';

import { chromium } from 'playwright-core';

const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM,
  args: ['--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync'],
});
const pages = new Map(); // by URL

try {
  for await (const line of createInterface({ input: process.stdin })) {
    const request = JSON.parse(line);
    if (!pages.has(request.page)) {
      const page = await browser.newPage();
      await page.goto(request.page);
      pages.set(request.page, page);
    }
    const answer = await pages.get(request.page).evaluate(async ({ url, init }) => {
      try {
        const response = await fetch(url, init);
        const text = await response.text();
        return { status: response.status, headers: Object.fromEntries(response.headers), body: text && JSON.parse(text) };
      } catch (error) {
        return { error: String(error) };
      }
    }, request);
    console.log(JSON.stringify(answer));
  }
} finally {
  await browser.close();
}
