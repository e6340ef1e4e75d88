// The current view: the part of the address after #.

const VIEWS = ["apps", "webhooks", "deliveries"];

/** Reads `#/deliveries/ID` or `#/view?name=value`; unknown views are the first view. */
export function parse(hash) {
  const [path, query = ""] = hash.replace(/^#\/?/, "").split("?");
  const [view, id] = path.split("/");
  const parameters = Object.fromEntries(new URLSearchParams(query));
  if (view === "deliveries" && id) return { view: "delivery", id: decode(id), query: parameters };
  return { view: VIEWS.includes(view) ? view : "apps", query: parameters };
}

function decode(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** The address of a view; empty parameters are omitted. */
export function href(view, parameters = {}) {
  const filled = Object.entries(parameters).filter(([, value]) => value);
  const query = new URLSearchParams(filled).toString();
  return `#/${view}${query ? `?${query}` : ""}`;
}

/** The address of one delivery. */
export function hrefOf(id) {
  return `#/deliveries/${encodeURIComponent(id)}`;
}
