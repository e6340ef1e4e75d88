// The page: shows the view that the address names.

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
  // Who reads by ear is told that there is something else now; who just came reads from the top.
  if (!isFirst) heading.focus();
}

/** Marks where one is; the namespace that was chosen goes along. */
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
