// Webhooks: state, delivery counts and the last hour. Webhooks with a problem come first.

import { overview } from "./overview.js";
import { badge, el, foreign } from "./dom.js";
import { href } from "./route.js";
import { readiness } from "./words.js";

/** The view. */
export const webhooks = overview({
  view: "webhooks",
  title: "Webhooks",
  caption: "Webhooks, problems first",
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
      [foreign(item.action ?? "–"), item.mode === "Sync" ? el("span", { class: "why" }, "synchronous") : null],
    ];
  },
});
