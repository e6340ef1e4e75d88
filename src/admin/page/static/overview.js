// The common part of the lists of apps and webhooks: search, paging, counts and charts.

import { read } from "./api.js";
import { chart } from "./chart.js";
import { badge, el, say, set } from "./dom.js";
import { filters } from "./filters.js";
import { live } from "./live.js";
import { href } from "./route.js";
import { keep, row, table } from "./table.js";
import { count, time } from "./words.js";

const EVERY = 5000;
const PAGE = 50;

/** A list of `/api/VIEW`: `head` and `cells` define the first columns, followed by counts and charts. */
export function overview({ view, title, caption, fields, head, cells }) {
  return (route) => {
    let query = route.query;
    const { form, fill } = filters(view, fields);
    const columns = [...head, "Deliveries", "Last success", "Triggers, last hour", "Attempts, last hour"];
    const { element, body, labels } = table(caption, columns, { class: view });
    const empty = el("p", { class: "empty", hidden: true }, `No ${view} match.`);
    const missing = el("p", { class: "problem", role: "status", hidden: true });
    const [next, first] = [el("a", { class: "button", hidden: true }, "Next"), el("a", { class: "button", hidden: true }, "First")];

    function filter() {
      return Object.fromEntries(fields.map(({ name }) => [name, query[name]]));
    }

    async function load(signal) {
      const { items, cursor, unavailable } = await read(`/${view}`, { ...filter(), limit: PAGE, cursor: query.cursor }, signal);
      keep(body, items, (item) => `${item.namespace}/${item.name}`, (item) => row(labels, [...cells(item), ...numbers(item)], 0));
      empty.hidden = items.length > 0;
      missing.hidden = unavailable.length === 0;
      say(missing, `Incomplete counts: no response from ${unavailable.join(", ")}.`);
      set(next, "href", cursor && href(view, { ...query, cursor }));
      next.hidden = !cursor;
    }

    function show() {
      fill(query);
      first.hidden = !query.cursor;
      first.href = href(view, { ...query, cursor: "" });
    }

    show();
    const reading = live(load, EVERY);
    return {
      title,
      nodes: [el("div", { class: "bar" }, form, reading.control), reading.problem, missing, element, empty,
        el("nav", { class: "pages", "aria-label": "Pages" }, first, next)],
      update(changed) {
        query = changed;
        show();
        body.replaceChildren();
        reading.again();
      },
      stop: reading.stop,
    };
  };
}

function numbers({ deliveries, lastSuccessAt, lastHour }) {
  const { succeeded, pending, dead } = deliveries;
  const counts = [el("span", {}, `${count(succeeded)} succeeded`)];
  if (pending > 0) counts.push(badge(`${count(pending)} pending`, "wait"));
  if (dead > 0) counts.push(badge(`${count(dead)} dead`, "bad"));
  const charts = lastHour
    ? [
        chart("Triggers", "accepted", "refused", lastHour.accepted, lastHour.refused),
        chart("Attempts", "succeeded", "failed", lastHour.succeeded, lastHour.failed),
      ]
    : ["not counted", "not counted"];
  return [el("div", { class: "numbers" }, counts), time(lastSuccessAt), ...charts];
}
