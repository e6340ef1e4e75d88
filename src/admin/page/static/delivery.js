// One delivery: its state, attempts, headers and body.

import { read } from "./api.js";
import { badge, el, foreign } from "./dom.js";
import { pretty } from "./json.js";
import { live } from "./live.js";
import { replayOne } from "./replay.js";
import { href, hrefOf } from "./route.js";
import { row, table } from "./table.js";
import { because, bytes, count, milliseconds, stateOf, time } from "./words.js";

const EVERY = 3000;

/** The view. */
export function delivery(route) {
  const place = el("div", { class: "delivery" });
  let shown = "";

  async function load(signal) {
    const found = await read(`/deliveries/${encodeURIComponent(route.id)}`, {}, signal);
    const text = JSON.stringify(found);
    // Without a change, keep the elements: rendering again would lose the scroll position and the selection.
    if (text === shown) return;
    shown = text;
    const hadFocus = document.activeElement?.id === "replay";
    place.replaceChildren(...sections(found));
    if (hadFocus) document.getElementById("replay")?.focus();
  }

  const reading = live(load, EVERY);
  return {
    title: "Delivery",
    nodes: [el("div", { class: "bar" }, el("p", { class: "id" }, foreign(route.id)), reading.control), reading.problem, place],
    update() {},
    stop: reading.stop,
  };
}

function sections(found) {
  return [actions(found), facts(found), attempts(found), headers(found), body(found), transformed(found)].filter(Boolean);
}

function actions(found) {
  const replay = async () => {
    const begun = await replayOne(found.id);
    if (begun) location.hash = hrefOf(begun);
  };
  const isPending = found.state === "pending";
  return el("div", { class: "toolbar" },
    el("button", { type: "button", id: "replay", class: "main", disabled: isPending, on: { click: replay } }, "Replay"),
    isPending ? el("span", { class: "dull" }, "Pending: it will be attempted without a replay.") : null);
}

function facts(found) {
  const [words, tone] = stateOf(found);
  const isReplay = found.generation > 1;
  const entries = [
    ["State", [badge(words, tone), el("span", { class: "why" }, because(found))]],
    ["Webhook", el("a", { href: href("deliveries", { namespace: found.namespace, webhook: found.webhook }) }, foreign(`${found.namespace}/${found.webhook}`))],
    ["App", foreign(found.app)],
    ["Action", foreign(found.action)],
    ["Started", time(found.createdAt)],
    found.dueAt && ["Next attempt", time(found.dueAt)],
    found.finishedAt && ["Finished", time(found.finishedAt)],
    ["Event", isReplay ? el("a", { class: "id", href: hrefOf(found.eventId) }, found.eventId) : el("span", { class: "id" }, found.eventId)],
    isReplay && ["Replay", `number ${count(found.generation - 1)} of this event`],
  ];
  return el("dl", { class: "facts" }, entries.filter(Boolean).map(([name, value]) => el("div", {}, el("dt", {}, name), el("dd", {}, value))));
}

function attempts(found) {
  const { element, body, labels } = table("Calls of the listener, oldest first", ["No.", "Started", "Duration", "Response", "Error"]);
  for (const attempt of found.attempts) {
    const isGood = attempt.status >= 200 && attempt.status < 300;
    const answer = attempt.answer && [el("div", { class: "dull" }, "Response body:"), text(attempt.answer, `Response to attempt ${attempt.number}`)];
    body.append(row(labels, [
      String(attempt.number), time(attempt.startedAt), milliseconds(attempt.durationMilliseconds),
      attempt.status === null ? badge("none", "bad") : badge(String(attempt.status), isGood ? "good" : "bad"),
      [attempt.error ? foreign(attempt.error) : "–", answer].flat(),
    ], 0));
  }
  return section("Attempts", found.attempts.length ? element : el("p", { class: "empty" }, "None yet."));
}

function headers(found) {
  const { element, body, labels } = table("Forwarded headers of the trigger; secrets are masked", ["Name", "Value"]);
  const all = [...(found.contentType === null ? [] : [{ name: "content-type", value: found.contentType }]), ...found.headers];
  for (const { name, value } of all) body.append(row(labels, [foreign(name), foreign(value, { class: "code" })], 0));
  return section("Headers", all.length ? element : el("p", { class: "empty" }, "No headers are forwarded."));
}

function body(found) {
  const { bytes: size, truncated } = found.body;
  const note = `${bytes(size)}${truncated ? ", truncated" : ""}; members with secret-like names are masked.`;
  return section("Body", el("p", { class: "dull" }, note), text(found.body, "Body of the event"));
}

/** What the listener gets, if the webhook has a transform. */
function transformed(found) {
  if (!found.transformed) return null;
  const { content, error } = found.transformed;
  const note = "The result of the webhook's current transform, which takes the place of the event.";
  return section("For the listener", el("p", { class: "dull" }, note),
    content ? text(content, "Transformed event") : null,
    error ? el("p", { class: "problem" }, foreign(error)) : null);
}

function section(title, ...children) {
  return el("section", {}, el("h2", {}, title), children);
}

/** Untrusted bytes, in a box that can be scrolled with the keyboard. */
function text(content, label) {
  const shown = content.text === undefined ? content.base64 : pretty(content.text);
  return [
    content.text === undefined ? el("p", { class: "dull" }, "Binary data, in base64:") : null,
    el("pre", { tabindex: "0", role: "region", "aria-label": label }, el("code", {}, foreign(shown))),
  ];
}
