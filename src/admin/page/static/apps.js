// Apps: state, delivery counts and the last hour. Apps with a problem come first.

import { overview } from "./overview.js";
import { badge, el, foreign } from "./dom.js";
import { href } from "./route.js";
import { count, readiness } from "./words.js";

/** The view. */
export const apps = overview({
  view: "apps",
  title: "Apps",
  caption: "Apps, problems first",
  fields: [{ name: "namespace", label: "Namespace" }],
  head: ["App", "State", "Webhooks"],
  cells(item) {
    const [words, tone] = readiness(item);
    const why = tone === "good" ? null : el("span", { class: "why" }, item.ready ? item.listenerMessage : item.message);
    const { namespace, name } = item;
    return [
      el("a", { href: href("webhooks", { namespace, app: name }) }, foreign(`${namespace}/${name}`)),
      [badge(words, tone), why],
      count(item.webhooks),
    ];
  },
});
