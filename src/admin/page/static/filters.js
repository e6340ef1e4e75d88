// The search form of a list. The search is stored in the address, for bookmarks and the browser history.

import { el } from "./dom.js";
import { href } from "./route.js";

/**
 * A form with fields `{name, label, options | type}` for a view. A change of a field changes the address; `fill` sets
 * the fields from the address.
 */
export function filters(view, fields) {
  const inputs = fields.map((field) => [field, input(field)]);
  const form = el(
    "form",
    { class: "filters", role: "search", "aria-label": `Search ${view}` },
    inputs.map(([field, control]) => el("div", { class: "field" }, el("label", { for: control.id }, field.label), control)),
    el("a", { class: "clear", href: href(view) }, "Show all"),
  );

  function apply() {
    const values = inputs.map(([field, control]) => [field.name, control.value.trim()]);
    location.hash = href(view, Object.fromEntries(values));
  }
  form.addEventListener("change", apply);
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    apply();
  });

  function fill(query) {
    for (const [field, control] of inputs) {
      control.value = query[field.name] ?? "";
      control.closest(".field").hidden = field.when ? !field.when(query) : false;
    }
  }
  return { form, fill };
}

function input({ name, options, type = "text" }) {
  const id = `filter-${name}`;
  if (!options) return el("input", { id, name, type, maxlength: "253", autocomplete: "off", spellcheck: "false", step: type === "datetime-local" ? "1" : null });
  return el("select", { id, name }, options.map(([value, label]) => el("option", { value }, label)));
}
