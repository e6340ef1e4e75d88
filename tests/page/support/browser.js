// A real browser, and what is asked of every view in it.

import assert from "node:assert/strict";
import { mkdir, readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { chromium } from "playwright-core";

import { SCREENSHOTS } from "./program.js";

const AXE = await readFile(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

/** Headless Chromium, as the system has it. */
export async function launch() {
  await mkdir(SCREENSHOTS, { recursive: true });
  const executablePath = process.env.CHROMIUM ?? "/usr/bin/chromium";
  return chromium.launch({ executablePath, args: ["--no-sandbox"] });
}

/**
 * A page at an address, which remembers what it should not have done: errors, violations of its policy,
 * requests of others than its operator, dialogs that a script opened.
 */
export async function open(browser, origin, path = "/", options = {}) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 800 }, ...options });
  const page = await context.newPage();
  const faults = [];
  page.on("pageerror", (error) => faults.push(`error: ${error.message}`));
  page.on("console", (message) => {
    // What is refused on purpose is logged by the browser itself.
    const isAnswer = /^Failed to load resource: the server responded with a status of (400|401|403|404|409)/.test(message.text());
    if (["error", "warning"].includes(message.type()) && !isAnswer) faults.push(`console: ${message.text()}`);
  });
  page.on("request", (request) => {
    if (!request.url().startsWith(`${origin}/`)) faults.push(`request: ${request.url()}`);
  });
  page.on("dialog", (dialog) => (faults.push(`dialog: ${dialog.message()}`), dialog.dismiss()));
  await page.addInitScript(() => {
    globalThis.violations = [];
    document.addEventListener("securitypolicyviolation", (event) => violations.push(`${event.violatedDirective} ${event.blockedURI}`));
  });
  await page.goto(`${origin}${path}`);
  const close = async () => {
    faults.push(...(await page.evaluate(() => globalThis.violations)));
    await context.close();
    assert.deepEqual(faults, []);
  };
  return { page, context, close };
}

/** Looks at a view as it is, for faults that stand in the way of people, and takes a picture of it. */
export async function examine(page, name) {
  await isAccessible(page, name);
  await page.screenshot({ path: `${SCREENSHOTS}/${name}.png`, fullPage: true });
}

/** Holds a view to the rules of WCAG 2.2, A and AA, and to good practice. */
async function isAccessible(page, name) {
  // Past the policy of the page, which lets no script in: by the debugger.
  await page.evaluate(AXE);
  const found = await page.evaluate(() =>
    axe.run(document, { runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"] }));
  const told = found.violations.map(({ id, help, nodes }) => `${id}: ${help}: ${nodes.map((node) => `${node.html} ${node.failureSummary}`).slice(0, 3).join(" | ")}`);
  assert.deepEqual(told, [], name);
}

/** The width is enough: nothing is scrolled sideways but boxes of their own. */
export async function fits(page) {
  const [content, window] = await page.evaluate(() => [document.documentElement.scrollWidth, innerWidth]);
  assert.ok(content <= window, `${content} pixels in a window of ${window}`);
}
