// Webhooks: how each is, what became of its events, and its last hour. Those with a problem come first.

import { overview } from "./overview.js";
import { badge, el, foreign } from "./dom.js";
import { href } from "./route.js";
import { readiness } from "./words.js";

/** The view. */
export const webhooks = overview({
  view: "webhooks",
  title: "Webhooks",
  caption: "Webhooks, those with a problem first",
  fields: [{ name: "namespace", label: "Namespace" }, { name: "app", label: "App" }],
  head: ["Webhook", "State", "App", "Action"],
  cells(item) {
    const [words, tone] = readiness(item);
    const why = tone === "good" ? null : el("span", { class: "why" }, item.message);
    const { namespace, name } = item;
    return [
      el("a", { href: href("deliveries", { namespace, webhook: name }) }, foreign(`${namespace}/${name}`)),
      [badge(words, tone), why],
      foreign(item.app ?? "–"),
      [foreign(item.action ?? "–"), item.mode === "Sync" ? el("span", { class: "why" }, "answered by the listener") : null],
    ];
  },
});
