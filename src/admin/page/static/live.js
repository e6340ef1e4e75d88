// Refreshes a view periodically while the page is visible.

import { Failure } from "./api.js";
import { el, say } from "./dom.js";
import { clock } from "./words.js";

/**
 * Calls `load` immediately, and again this many milliseconds after each end, but not while the page is hidden or
 * refreshing is paused. Returns the control elements, and `again` and `stop`.
 */
export function live(load, milliseconds) {
  const pause = el("button", { type: "button", class: "quiet", "aria-pressed": "false", on: { click: toggle } }, "Pause");
  const state = el("span", { class: "dull" });
  const problem = el("p", { class: "problem", role: "alert", hidden: true });
  let [timer, reading, paused, stopped] = [undefined, undefined, false, false];

  async function again() {
    clearTimeout(timer);
    reading?.abort();
    const mine = (reading = new AbortController());
    try {
      await load(mine.signal);
      if (mine === reading) report(null);
    } catch (error) {
      if (mine !== reading || mine.signal.aborted) return;
      if (!(error instanceof Failure)) console.error(error);
      report(error);
    }
    if (mine === reading) schedule();
  }

  function schedule() {
    clearTimeout(timer);
    if (!paused && !stopped && !document.hidden) timer = setTimeout(again, milliseconds);
  }

  function report(error) {
    problem.hidden = error === null;
    say(problem, error === null ? "" : sentence(error.message));
    if (error === null) say(state, `${paused ? "paused" : "live"}, updated at ${clock(new Date())}`);
  }

  function toggle() {
    paused = !paused;
    pause.setAttribute("aria-pressed", String(paused));
    if (paused) {
      clearTimeout(timer);
      state.textContent = state.textContent.replace("live", "paused");
    } else again();
  }

  const resume = () => !document.hidden && !paused && !stopped && again();
  document.addEventListener("visibilitychange", resume);

  function stop() {
    stopped = true;
    clearTimeout(timer);
    reading?.abort();
    document.removeEventListener("visibilitychange", resume);
  }

  again();
  return { control: el("div", { class: "live" }, state, pause), problem, again, stop };
}

function sentence(text) {
  return `${text.charAt(0).toUpperCase()}${text.slice(1)}${/[.!?]$/.test(text) ? "" : "."}`;
}
