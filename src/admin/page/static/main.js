// The page: shows the view selected by the address.

import { apps } from "./apps.js";
import { deliveries } from "./deliveries.js";
import { delivery } from "./delivery.js";
import { el, news, note, set } from "./dom.js";
import { href, parse } from "./route.js";
import { askWhenNeeded } from "./token.js";
import { webhooks } from "./webhooks.js";

const VIEWS = { apps, webhooks, deliveries, delivery };
const main = document.getElementById("main");
let shown = null;

function show() {
  const route = parse(location.hash);
  const key = `${route.view}/${route.id ?? ""}`;
  navigate(route);
  if (shown?.key === key) {
    shown.view.update(route.query);
    return;
  }
  shown?.view.stop();
  const isFirst = shown === null;
  if (!isFirst && !route.id) note("");
  news("");
  const view = VIEWS[route.view](route);
  const heading = el("h1", { tabindex: "-1" }, view.title);
  main.replaceChildren(heading, ...view.nodes);
  document.title = `${view.title} – webhook-operator`;
  shown = { key, view };
  // Focus makes screen readers announce the new view. The first view is read from the top of the page.
  if (!isFirst) heading.focus();
}

/** Marks the current view in the navigation; links keep the selected namespace. */
function navigate({ view, query: { namespace } }) {
  for (const link of document.querySelectorAll("nav [data-view]")) {
    const isHere = link.dataset.view === (view === "delivery" ? "deliveries" : view);
    set(link, "aria-current", isHere ? "page" : null);
    if (view !== "delivery") set(link, "href", href(link.dataset.view, { namespace }));
  }
}

document.getElementById("skip").addEventListener("click", (event) => {
  event.preventDefault();
  main.focus();
});
addEventListener("hashchange", show);
askWhenNeeded();
show();
