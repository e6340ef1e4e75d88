// A bar chart of the last hour, one bar per minute, with a text alternative.

import { el, svg } from "./dom.js";
import { count } from "./words.js";

const WIDTH = 3;
const HEIGHT = 28;

/** Stacked bars: successes, and failures on top of them; `good` and `bad` are their labels. */
export function chart(title, good, bad, goods, bads) {
  const totals = goods.map((number, index) => number + bads[index]);
  const top = Math.max(1, ...totals);
  const text = `${count(sum(goods))} ${good}, ${count(sum(bads))} ${bad}`;
  const most = `at most ${count(Math.max(0, ...totals))} a minute`;
  const size = WIDTH * totals.length;
  const picture = svg(
    "svg",
    { class: "chart", viewBox: `0 0 ${size} ${HEIGHT}`, role: "img", preserveAspectRatio: "none",
      "aria-label": `${title} in the last ${totals.length} minutes: ${text}; ${most}` },
    svg("path", { class: "ground", d: `M0 ${HEIGHT - 0.5}h${size}` }),
    svg("path", { class: "good", d: bars(goods, goods.map(() => 0), top) }),
    svg("path", { class: "bad", d: bars(bads, goods, top) }),
  );
  const failed = sum(bads) > 0 ? el("span", { class: "bad-text" }, `${count(sum(bads))} ${bad}`) : null;
  const legend = el("span", { class: "legend", "aria-hidden": "true" }, `${count(sum(goods))} ${good}`, failed && " · ", failed);
  return el("div", { class: "charted", title: `${text}; ${most}` }, picture, legend);
}

/** All bars in one path, instead of sixty elements per chart. */
function bars(numbers, below, top) {
  return numbers
    .map((number, minute) => {
      if (number === 0) return "";
      const [height, ground] = [(number / top) * HEIGHT, (below[minute] / top) * HEIGHT];
      const shown = Math.max(height, 1.5);
      return `M${minute * WIDTH} ${round(HEIGHT - ground)}v${-round(shown)}h${WIDTH - 0.6}v${round(shown)}z`;
    })
    .join("");
}

function round(number) {
  return Math.round(number * 10) / 10;
}

function sum(numbers) {
  return numbers.reduce((all, number) => all + number, 0);
}
