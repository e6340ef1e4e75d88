// The page beside `standalone`: everything that a person does there, in a real browser.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { examine, fits, launch, open } from "./support/browser.js";
import { ask, eventually, listener, standalone, trigger } from "./support/operator.js";
import { lost, pathOf, shop, webhook } from "./support/shop.js";

const HOSTILE = '<img src=x onerror="alert(1)"><script>alert(2)</script>';
const SCHEMES = ["light", "dark"];

let [browser, calls, operator] = [];

before(async () => {
  calls = await listener(({ action }) => (action === "refund" ? 404 : 200));
  operator = await standalone([
    shop(calls.url),
    lost(),
    webhook("paid", 1, { forwardHeaders: ["X-Note", "X-Api-Key"] }),
    webhook("refund", 2),
    webhook("hostile", 3, { action: HOSTILE, forwardHeaders: ["X-Note"] }),
    webhook("paused", 4, { suspend: true }),
    webhook("orphan", 5, { app: "missing" }),
  ]);
  browser = await launch();
  for (let number = 0; number < 120; number += 1) await send(1, { number });
  for (let number = 0; number < 7; number += 1) await send(2, { number, "access_token": "very secret" });
  await ended();
});

after(async () => {
  await browser?.close();
  await operator?.stop();
  await calls?.stop();
});

async function send(webhookNumber, event, headers) {
  const { status, text } = await trigger(`${operator.trigger}${pathOf(webhookNumber)}`, JSON.stringify(event), headers);
  assert.equal(status, 202, text);
  return JSON.parse(text).id;
}

async function list(query) {
  return (await (await fetch(`${operator.admin}/api/deliveries?${query}`)).json()).items;
}

function ended() {
  return eventually("the end of all deliveries", async () => (await list("state=pending")).length === 0);
}

function visit(hash, options) {
  return open(browser, operator.admin, `/${hash}`, options);
}

const rows = (page) => page.locator("tbody tr");

test("apps and webhooks are shown with their state, those with a problem first", async () => {
  const { page, close } = await visit("");
  await page.getByRole("heading", { name: "Apps", level: 1 }).waitFor();
  await rows(page).nth(1).waitFor();
  assert.match(await rows(page).nth(0).innerText(), /team-a\/lost\s+not ready[\s\S]*nowhere/);
  assert.match(await rows(page).nth(1).innerText(), /team-a\/shop\s+ready/);
  await page.getByRole("link", { name: "team-a/shop" }).click();
  await page.getByRole("heading", { name: "Webhooks", level: 1 }).waitFor();
  await rows(page).nth(3).waitFor();
  assert.equal(await rows(page).count(), 4);
  await page.getByRole("link", { name: "Show all" }).click();
  await eventually("all webhooks", async () => (await rows(page).count()) === 5);
  assert.match(await rows(page).nth(0).innerText(), /team-a\/orphan\s+not ready/);
  const refund = rows(page).filter({ hasText: "team-a/refund" });
  assert.match(await refund.innerText(), /7 dead/);
  await refund.getByRole("img", { name: /^Attempts in the last 60 minutes: 0 succeeded, 7 failed/ }).waitFor();
  await refund.getByRole("img", { name: /^Triggers in the last 60 minutes: 7 accepted, 0 refused/ }).waitFor();
  await refund.getByRole("link", { name: "team-a/refund" }).click();
  await eventually("its deliveries", async () => (await rows(page).count()) === 7);
  await close();
});

test("deliveries are searched by webhook, state, time and id, and the address keeps it", async () => {
  const { page, close } = await visit("#/deliveries");
  await eventually("a page of rows", async () => (await rows(page).count()) === 50);
  await page.getByLabel("State").selectOption("dead");
  await eventually("the dead ones", async () => (await rows(page).count()) === 7);
  assert.match(page.url(), /#\/deliveries\?state=dead$/);
  await page.getByLabel("Webhook", { exact: true }).fill("paid");
  await page.keyboard.press("Enter");
  await page.getByText("No delivery matches.").waitFor();
  await page.goBack();
  await eventually("the dead ones again", async () => (await rows(page).count()) === 7);
  await page.getByLabel("Started").selectOption("1h");
  await eventually("those of the last hour", async () => (await rows(page).count()) === 7);
  await page.getByLabel("Started").selectOption("between");
  await page.getByLabel("Until").fill("2020-01-01T00:00:00");
  await page.getByLabel("Until").press("Enter");
  await page.getByText("No delivery matches.").waitFor();
  const [dead] = await list("state=dead");
  await page.getByLabel("Id of a delivery or event").fill(` ${dead.id} `);
  await page.keyboard.press("Enter");
  await page.getByRole("heading", { name: "Delivery", level: 1 }).waitFor();
  await page.getByText("rejected by the listener").waitFor();
  await page.getByLabel("Body of the event").getByText('"access_token": "[masked]"').waitFor();
  await page.getByText("the shop is closed").waitFor();
  await close();
});

test("older deliveries are a page away, and back", async () => {
  const { page, close } = await visit("#/deliveries?webhook=paid");
  await eventually("a page of rows", async () => (await rows(page).count()) === 50);
  const first = await page.locator("tbody a.id").first().getAttribute("title");
  for (const count of [50, 20]) {
    await page.getByRole("link", { name: "Older" }).click();
    await eventually("older rows", async () => (await rows(page).count()) === count && (await page.locator(`a[title="${first}"]`).count()) === 0);
  }
  assert.equal(await page.getByRole("link", { name: "Older" }).isVisible(), false);
  await page.getByRole("link", { name: "Newest" }).click();
  await page.locator(`a[title="${first}"]`).waitFor();
  await close();
});

test("new deliveries appear by themselves and are announced, but not while it is paused", async () => {
  const { page, close } = await visit("#/deliveries");
  await rows(page).first().waitFor();
  const seen = await send(1, { live: 1 });
  await page.locator(`a[title="${seen}"]`).waitFor();
  await page.getByRole("status").getByText("1 new delivery").waitFor();
  await page.getByRole("button", { name: "Pause" }).click();
  const unseen = await send(1, { live: 2 });
  let reads = 0;
  page.on("request", (request) => (reads += request.url().includes("/api/deliveries") ? 1 : 0));
  // Longer than the pause between two readings, which is three seconds.
  await page.clock.install();
  await page.clock.runFor(20_000);
  assert.equal(reads, 0);
  assert.equal(await page.locator(`a[title="${unseen}"]`).count(), 0);
  await page.getByRole("button", { name: "Pause" }).click();
  await page.locator(`a[title="${unseen}"]`).waitFor();
  await close();
});

test("one delivery is replayed after it was confirmed, and the new one is shown", async () => {
  const [dead] = await list("state=dead&webhook=refund");
  const { page, close } = await visit(`#/deliveries/${dead.id}`);
  await page.getByRole("button", { name: "Replay", exact: true }).click();
  const dialog = page.getByRole("dialog", { name: "Replay this delivery" });
  await dialog.getByText("Deliver this event again?").waitFor();
  await examine(page, "confirm-one");
  await dialog.getByRole("button", { name: "Cancel" }).click();
  assert.equal((await list("webhook=refund")).filter((one) => one.eventId === dead.eventId).length, 1);
  await page.getByRole("button", { name: "Replay", exact: true }).click();
  await dialog.getByRole("button", { name: "Replay 1 delivery" }).click();
  await page.getByText("number 1 of this event").waitFor();
  await page.getByRole("status").getByText("A new delivery of this event was created.").waitFor();
  await ended();
  await close();
});

test("a selection is replayed", async () => {
  const { page, close } = await visit("#/deliveries?webhook=paid");
  await eventually("a page of rows", async () => (await rows(page).count()) === 50);
  const replay = page.getByRole("button", { name: /^Replay selected/ });
  assert.equal(await replay.isDisabled(), true);
  await rows(page).nth(1).getByRole("checkbox").check();
  await rows(page).nth(3).getByRole("checkbox").check();
  await page.getByRole("button", { name: "Replay selected (2)" }).click();
  await page.getByRole("button", { name: "Replay 2 deliveries" }).click();
  await page.getByRole("status").getByText("2 new deliveries created.").waitFor();
  await page.getByLabel("Select all shown").check();
  await page.getByRole("button", { name: /^Replay selected \((48|49|50)\)/ }).click();
  await page.keyboard.press("Escape");
  assert.equal(await page.getByRole("dialog").count(), 0);
  await ended();
  await close();
});

test("all that match are replayed, after it was said how many", async () => {
  calls.answer = () => 200;
  const before = (await list("state=dead")).length;
  const { page, close } = await visit("#/deliveries?state=dead");
  await rows(page).first().waitFor();
  await page.getByRole("button", { name: "Replay all matching dead deliveries" }).click();
  await page.getByRole("dialog").getByText(`Deliver the events of ${before} dead deliveries again?`).waitFor();
  await examine(page, "confirm-all");
  await page.getByRole("button", { name: `Replay ${before} dead deliveries` }).click();
  // One of the events was replayed before: of each event there is one delivery more.
  await page.getByRole("status").getByText("7 new deliveries created.").waitFor();
  await ended();
  assert.equal((await list("state=succeeded&webhook=refund")).length, 7);
  await close();
});

test("what strangers wrote is text, in bodies, headers and names", async () => {
  const id = await send(3, { [HOSTILE]: HOSTILE, number: 12345678901234567890123n.toString() }, { "X-Note": HOSTILE });
  const big = await trigger(`${operator.trigger}${pathOf(1)}`, '{"big":12345678901234567890123,"b":[],"a":{}}', { "X-Api-Key": "very secret" });
  await ended();
  const { page, close } = await visit("#/deliveries?webhook=hostile");
  await rows(page).first().getByText(HOSTILE).waitFor();
  await page.goto(`${operator.admin}/#/deliveries/${id}`);
  await page.getByLabel("Body of the event").getByText("onerror").waitFor();
  await page.getByRole("row", { name: "x-note" }).getByText(HOSTILE).waitFor();
  await page.goto(`${operator.admin}/#/webhooks`);
  await page.getByRole("row", { name: /hostile/ }).getByText(HOSTILE).waitFor();
  assert.equal(await page.locator("main img, main script, main iframe").count(), 0);
  await page.goto(`${operator.admin}/#/deliveries/${JSON.parse(big.text).id}`);
  const body = page.getByLabel("Body of the event");
  await body.getByText("big").waitFor();
  // Numbers and the order of members stay as they were sent.
  assert.equal(await body.innerText(), '{\n  "big": 12345678901234567890123,\n  "b": [],\n  "a": {}\n}');
  assert.match(await page.getByRole("row", { name: "x-api-key" }).innerText(), /\[masked\]/);
  await page.goto(`${operator.admin}/#/deliveries/${encodeURIComponent(HOSTILE)}`);
  await page.getByRole("alert").getByText("Not Found.").waitFor();
  await close();
});

test("a delivery is found and replayed with the keyboard alone", async () => {
  const { page, close } = await visit("#/deliveries?webhook=paid");
  await rows(page).first().waitFor();
  await page.keyboard.press("Tab");
  assert.equal(await focused(page), "Skip to the content");
  await page.keyboard.press("Enter");
  await tabTo(page, "Webhook");
  await page.keyboard.type("refund");
  await page.keyboard.press("Enter");
  await eventually("the refunds", async () => /refund/.test(await rows(page).first().innerText().catch(() => "")));
  await tabTo(page, "Pause");
  await page.keyboard.press("Space");
  const [latest] = await list("webhook=refund");
  await tabTo(page, `…${latest.id.slice(-12)}`);
  await page.keyboard.press("Enter");
  await page.getByRole("heading", { name: "Delivery", level: 1 }).waitFor();
  assert.equal(await focused(page), "Delivery");
  await page.getByText("State", { exact: true }).waitFor();
  await tabTo(page, "Replay");
  await page.keyboard.press("Enter");
  assert.equal(await focused(page), "Cancel");
  await page.getByRole("button", { name: "Replay 1 delivery" }).waitFor();
  await page.keyboard.press("Tab");
  assert.equal(await focused(page), "Replay 1 delivery");
  await page.keyboard.press("Enter");
  await page.getByText("A new delivery of this event was created.").waitFor();
  assert.equal(await focused(page), "Delivery");
  await ended();
  await close();
});

/** The name of what has the focus. */
function focused(page) {
  return page.evaluate(() => {
    const element = document.activeElement;
    return (element.labels?.[0] ?? element).textContent.trim();
  });
}

async function tabTo(page, name) {
  for (let step = 0; step < 120; step += 1) {
    await page.keyboard.press("Tab");
    if ((await focused(page)) === name) {
      const outline = await page.evaluate(() => getComputedStyle(document.activeElement).outlineStyle);
      assert.notEqual(outline, "none", "the focus is to be seen");
      return;
    }
  }
  assert.fail(`the focus never comes to ${name}`);
}

test("every view is accessible and fits, in light and dark, in wide and narrow windows", async () => {
  calls.answer = ({ action }) => (action === "refund" ? 503 : 200);
  for (let number = 0; number < 3; number += 1) await send(2, { order: { number, items: ["a", "b"], note: "zwölf Stück" } }, { "X-Note": "x" });
  await ended();
  const [dead] = await list("state=dead");
  const views = [["apps", "#/apps"], ["webhooks", "#/webhooks"], ["deliveries", "#/deliveries"], ["delivery", `#/deliveries/${dead.id}`], ["nothing", "#/deliveries?webhook=none"]];
  for (const colorScheme of SCHEMES) {
    for (const [size, viewport] of [["wide", { width: 1280, height: 800 }], ["narrow", { width: 360, height: 740 }]]) {
      for (const [name, hash] of views) {
        const { page, close } = await visit(hash, { colorScheme, viewport, reducedMotion: "reduce" });
        await (name === "nothing" ? page.getByText("No delivery matches.") : page.locator("tbody tr").first()).waitFor();
        await fits(page);
        await examine(page, `${name}-${size}-${colorScheme}`);
        await close();
      }
    }
  }
});

test("a name that only resolves to this machine is refused, and everything else is locked up", async () => {
  for (const path of ["/", "/ui/main.js", "/api/apps", "/api/deliveries"]) {
    const foreign = await ask(`${operator.admin}${path}`, { host: "evil.example:9090" });
    assert.equal(foreign.status, 403, path);
    const { status, headers } = await ask(`${operator.admin}${path}`);
    assert.equal(status, 200, path);
    const policy = headers["content-security-policy"];
    for (const part of ["default-src 'none'", "script-src 'self'", "frame-ancestors 'none'", "require-trusted-types-for 'script'"]) {
      assert.ok(policy.includes(part), `${path}: ${part}`);
    }
    assert.ok(!policy.includes("unsafe"));
    assert.equal(headers["x-content-type-options"], "nosniff");
    assert.equal(headers["referrer-policy"], "no-referrer");
    assert.equal(headers["cross-origin-opener-policy"], "same-origin");
    assert.equal(headers["cross-origin-resource-policy"], "same-origin");
  }
  const script = await ask(`${operator.admin}/ui/main.js`);
  const again = await ask(`${operator.admin}/ui/main.js`, { "if-none-match": script.headers.etag });
  assert.equal(again.status, 304);
  assert.equal((await ask(`${operator.admin}/ui/none.js`)).status, 404);
  // A link of another site may lead to the page; its scripts may not call the API.
  const cross = { "sec-fetch-site": "cross-site" };
  assert.equal((await ask(`${operator.admin}/`, cross)).status, 200);
  assert.equal((await ask(`${operator.admin}/api/apps`, cross)).status, 403);
});

test("the policy of the page stops what it does not name", async () => {
  const { page, context } = await visit("#/apps");
  const outcome = await page.evaluate(() => {
    try {
      document.body.innerHTML = "<p>markup</p>";
      return "taken";
    } catch (error) {
      return error.name;
    }
  });
  assert.equal(outcome, "TypeError");
  assert.match((await page.evaluate(() => violations)).join(), /trusted-types/);
  await context.close();
});

test("an operator that goes away is told of, and the page goes on when it is back", async () => {
  const { page, context } = await visit("#/deliveries");
  await rows(page).first().waitFor();
  await context.setOffline(true);
  await page.getByRole("alert").getByText("The operator cannot be reached.").waitFor();
  await context.setOffline(false);
  await eventually("the end of the problem", async () => !(await page.getByRole("alert").isVisible()));
  await context.close();
});
