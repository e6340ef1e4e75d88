// The list of deliveries: live updates, search, paging and replays.

import { read } from "./api.js";
import { badge, el, foreign, news, say, set } from "./dom.js";
import { filters } from "./filters.js";
import { live } from "./live.js";
import { replayAll, replayThese } from "./replay.js";
import { href, hrefOf } from "./route.js";
import { keep, row, table } from "./table.js";
import { because, count, counted, short, stateOf, time } from "./words.js";

const EVERY = 3000;
const PAGE = 50;

const FIELDS = [
  { name: "namespace", label: "Namespace" },
  { name: "webhook", label: "Webhook" },
  { name: "state", label: "State", options: [["", "any"], ["pending", "pending"], ["succeeded", "succeeded"], ["dead", "dead"]] },
  { name: "time", label: "Started", options: [["", "at any time"], ["15m", "in the last 15 minutes"], ["1h", "in the last hour"], ["24h", "in the last 24 hours"], ["7d", "in the last 7 days"], ["between", "between…"]] },
  { name: "from", label: "From", type: "datetime-local", when: (query) => query.time === "between" },
  { name: "to", label: "Until", type: "datetime-local", when: (query) => query.time === "between" },
];

/** The view. */
export function deliveries(route) {
  let query = route.query;
  const chosen = new Set();
  const { form, fill } = filters("deliveries", FIELDS);
  const all = el("input", { type: "checkbox", "aria-label": "Select all shown", on: { change: chooseAll } });
  const { element, body, labels } = table("Deliveries, latest first", [all, "Started", "State", "Webhook", "Action", "Attempts", "Response", "Delivery"], { class: "deliveries" });
  const replayChosen = el("button", { type: "button", disabled: true, on: { click: () => replayThese([...chosen]).then(done) } });
  const replayMatching = el("button", { type: "button", on: { click: () => replayAll(toReplay(query)).then(done) } });
  const [older, newest] = [el("a", { class: "button", hidden: true }, "Older"), el("a", { class: "button", hidden: true }, "Newest")];
  const empty = el("p", { class: "empty", hidden: true }, "No delivery matches.");
  const missing = el("p", { class: "problem", role: "status", hidden: true });
  let newestId = null;

  async function load(signal) {
    const { items, cursor, unavailable } = await read("/deliveries", { ...toApi(query), limit: PAGE, cursor: query.cursor }, signal);
    keep(body, items, (item) => item.id, line);
    empty.hidden = items.length > 0;
    missing.hidden = unavailable.length === 0;
    say(missing, `Incomplete: no response from ${unavailable.join(", ")}.`);
    set(older, "href", cursor && href("deliveries", { ...query, cursor }));
    older.hidden = !cursor;
    announce(items);
    showChoice();
  }

  function announce(items) {
    const known = items.findIndex((item) => item.id === newestId);
    if (newestId !== null && !query.cursor && known !== 0 && items.length > 0) {
      const number = known < 0 ? items.length : known;
      news(`${counted(number, "new delivery", "new deliveries")}${known < 0 ? " or more" : ""}`);
    }
    newestId = items[0]?.id ?? newestId;
  }

  function line(item) {
    const [words, tone] = stateOf(item);
    const box = el("input", {
      type: "checkbox", "data-id": item.id, disabled: item.state === "pending",
      "aria-label": item.state === "pending" ? `Delivery ${short(item.id)} is pending` : `Select delivery ${short(item.id)}`,
      on: { change: () => (choose(box), showChoice()) },
    });
    box.checked = chosen.has(item.id);
    const webhook = el("a", { href: href("deliveries", { ...query, cursor: "", namespace: item.namespace, webhook: item.webhook }) },
      foreign(`${item.namespace}/${item.webhook}`));
    const why = because(item);
    return row(labels, [
      box, time(item.createdAt), [badge(words, tone), why && el("span", { class: "why" }, why)], webhook,
      foreign(item.action), count(item.attemptCount), item.lastStatus === null ? el("span", { class: "dull" }, "–") : String(item.lastStatus),
      el("a", { class: "id", href: hrefOf(item.id), title: item.id }, short(item.id)),
    ]);
  }

  function choose(box) {
    if (box.checked) chosen.add(box.dataset.id);
    else chosen.delete(box.dataset.id);
  }

  function chooseAll() {
    for (const box of boxes()) {
      box.checked = all.checked;
      choose(box);
    }
    showChoice();
  }

  function boxes() {
    return [...body.querySelectorAll("input:not(:disabled)")];
  }

  function showChoice() {
    const shown = boxes();
    const number = shown.filter((box) => box.checked).length;
    all.checked = shown.length > 0 && number === shown.length;
    all.indeterminate = number > 0 && number < shown.length;
    replayChosen.textContent = `Replay selected (${count(chosen.size)})`;
    replayChosen.disabled = chosen.size === 0;
  }

  function done(isTried) {
    if (!isTried) return;
    chosen.clear();
    for (const box of boxes()) box.checked = false;
    reading.again();
  }

  function show() {
    fill(query);
    const { state } = toReplay(query);
    replayMatching.textContent = `Replay all matching ${state} deliveries`;
    replayMatching.disabled = query.state === "pending";
    newest.hidden = !query.cursor;
    newest.href = href("deliveries", { ...query, cursor: "" });
    newestId = null;
    chosen.clear();
    showChoice();
  }

  show();
  const reading = live(load, EVERY);
  const toolbar = el("div", { class: "toolbar" }, replayChosen, replayMatching, reading.control);
  const pages = el("nav", { class: "pages", "aria-label": "Pages" }, newest, older);
  return {
    title: "Deliveries",
    nodes: [goTo(), form, reading.problem, missing, toolbar, element, empty, pages],
    update(next) {
      query = next;
      show();
      body.replaceChildren();
      reading.again();
    },
    stop: reading.stop,
  };
}

/** A field that opens the delivery with the given id. */
function goTo() {
  const field = el("input", { id: "go-to", name: "id", type: "search", autocomplete: "off", spellcheck: "false", size: "36", placeholder: "Webhook-Event-Id" });
  const go = (event) => {
    event.preventDefault();
    const id = field.value.trim();
    if (id) location.hash = hrefOf(id);
  };
  return el("form", { class: "go-to", role: "search", "aria-label": "One delivery", on: { submit: go } },
    el("label", { for: "go-to" }, "Id of a delivery or event"), field, el("button", {}, "Show"));
}

/** Converts the parameters of the address to those of the API. */
function toApi({ namespace, webhook, state, time: when, from, to }) {
  const moment = (text) => (text && !Number.isNaN(Date.parse(text)) ? new Date(text).toISOString() : undefined);
  const [since, until] = when === "between" ? [moment(from), moment(to)] : [when, undefined];
  return { namespace, webhook, state, since, until };
}

/** Filter of a replay of all matches: dead deliveries, or succeeded ones if the search is for those. */
function toReplay(query) {
  const { namespace, webhook, state, since, until } = toApi(query);
  const meant = { namespace, webhook, state: state === "succeeded" ? state : "dead", since, until };
  return Object.fromEntries(Object.entries(meant).filter(([, value]) => value));
}
