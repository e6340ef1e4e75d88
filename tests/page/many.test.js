// The page over 100,000 deliveries.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { launch } from "./support/browser.js";
import { eventually, listener, standalone, trigger } from "./support/operator.js";
import { pathOf, shop, webhook } from "./support/shop.js";

const DELIVERIES = 100_000;
const SENDERS = 32;

/** Five times are measured; a machine that compiles meanwhile is slower than this text says. */
const TIMES = 5;
const BOUND = 3000;

let [browser, calls, operator] = [];

before(async () => {
  // One of a hundred is refused for good.
  calls = await listener(({ event }) => (event.number % 100 === 0 ? 404 : 200));
  operator = await standalone([shop(calls.url), webhook("paid", 1), webhook("rare", 2)]);
  let number = 0;
  const send = async () => {
    while (number < DELIVERIES) {
      number += 1;
      // The rare ones are the first ones: a search for them has to look behind all the others.
      const path = pathOf(number <= 20 ? 2 : 1);
      assert.equal((await trigger(`${operator.trigger}${path}`, JSON.stringify({ number }))).status, 202);
    }
  };
  await Promise.all(Array.from({ length: SENDERS }, send));
  await eventually("the end of all deliveries", async () => {
    const answer = await fetch(`${operator.admin}/api/deliveries?state=pending&limit=1`);
    return (await answer.json()).items.length === 0;
  }, 300_000);
  browser = await launch();
});

after(async () => {
  await browser?.close();
  await operator?.stop();
  await calls?.stop();
});

/** Milliseconds from the beginning of the navigation until rows were painted, in a browser that knows nothing. */
async function firstRows(hash) {
  const context = await browser.newContext();
  const page = await context.newPage();
  await page.addInitScript(() => {
    globalThis.painted = new Promise((resolve) => {
      const observer = new MutationObserver(() => {
        if (!document.querySelector("tbody tr")) return;
        observer.disconnect();
        // The second frame begins when the first one with rows was painted.
        requestAnimationFrame(() => requestAnimationFrame(() => resolve(performance.now())));
      });
      observer.observe(document, { childList: true, subtree: true });
    });
  });
  await page.goto(`${operator.admin}/${hash}`);
  const milliseconds = await page.evaluate(() => globalThis.painted);
  await context.close();
  return milliseconds;
}

for (const [what, hash] of [
  ["all deliveries", "#/deliveries"],
  ["those that are dead", "#/deliveries?state=dead"],
  ["those of a rare webhook", "#/deliveries?namespace=team-a&webhook=rare"],
  ["apps", "#/apps"],
  ["webhooks", "#/webhooks"],
]) {
  test(`the first rows of ${what} are there at once`, async (context) => {
    const times = [];
    for (let time = 0; time < TIMES; time += 1) times.push(await firstRows(hash));
    times.sort((a, b) => a - b);
    context.diagnostic(`first rows of ${what} after ${Math.round(times[Math.floor(TIMES / 2)])} ms (median of ${TIMES})`);
    assert.ok(times[Math.floor(TIMES / 2)] < BOUND, String(times));
  });
}
