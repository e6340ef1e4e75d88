// Tables that keep their row elements on a refresh, so that focus and selection are kept.

import { el } from "./dom.js";

/**
 * A table. The explicit roles equal the implicit ones, which are lost when a narrow window displays the rows as
 * blocks. `head` contains the heading of each column, an element or a text.
 */
export function table(caption, head, attributes = {}) {
  const body = el("tbody", { role: "rowgroup" });
  const cells = head.map((cell) => el("th", { role: "columnheader", scope: "col" }, cell));
  const element = el(
    "table",
    { role: "table", ...attributes },
    el("caption", {}, caption),
    el("thead", { role: "rowgroup" }, el("tr", { role: "row" }, cells)),
    body,
  );
  return { element, body, labels: head.map((cell) => (typeof cell === "string" ? cell : "")) };
}

/** A row. `heading` is the index of its header cell. */
export function row(labels, cells, heading = -1) {
  const made = cells.map((cell, index) => {
    const label = { "data-label": labels[index] };
    return index === heading
      ? el("th", { role: "rowheader", scope: "row", ...label }, cell)
      : el("td", { role: "cell", ...label }, cell);
  });
  return el("tr", { role: "row" }, made);
}

/**
 * Updates the body of a table to one row per item, in their order. `make` creates the row of an item. A row is
 * replaced only if its item has changed, and the new row gets the focus of the old one.
 */
export function keep(body, items, key, make) {
  const rows = new Map([...body.children].map((element) => [element.dataset.key, element]));
  const wanted = items.map((item) => {
    const [name, text] = [key(item), JSON.stringify(item)];
    const known = rows.get(name);
    if (known?.dataset.text === text) return known;
    const made = make(item);
    made.dataset.key = name;
    made.dataset.text = text;
    if (known) replace(known, made);
    return made;
  });
  const kept = new Set(wanted);
  for (const element of [...body.children]) if (!kept.has(element)) element.remove();
  wanted.forEach((element, index) => {
    if (body.children[index] !== element) body.insertBefore(element, body.children[index] ?? null);
  });
}

function replace(known, made) {
  const focusable = "a, button, input";
  const index = [...known.querySelectorAll(focusable)].indexOf(document.activeElement);
  known.replaceWith(made);
  made.querySelectorAll(focusable)[index]?.focus();
}
