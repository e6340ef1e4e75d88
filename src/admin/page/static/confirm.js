// Asks for confirmation of an action that cannot be undone.

import { el } from "./dom.js";

/**
 * Resolves with whether the user confirmed. `question` gets an abort signal and a progress callback, and resolves
 * with `{text, yes}`; the dialog is open meanwhile. Without `yes`, only Cancel is possible. Escape and Cancel mean no.
 */
export async function confirm(title, question) {
  const stop = new AbortController();
  const text = el("p", { id: "confirm-text", "aria-live": "polite" }, "Counting…");
  const cancel = el("button", { type: "button" }, "Cancel");
  const yes = el("button", { type: "button", class: "main", disabled: true }, "Replay");
  const dialog = el(
    "dialog",
    { "aria-labelledby": "confirm-title", "aria-describedby": "confirm-text" },
    el("h2", { id: "confirm-title" }, title),
    text,
    el("div", { class: "buttons" }, cancel, yes),
  );
  const before = document.activeElement;
  document.body.append(dialog);
  dialog.showModal();
  cancel.focus();
  const answer = new Promise((resolve) => {
    cancel.addEventListener("click", () => resolve(false));
    yes.addEventListener("click", () => resolve(true));
    dialog.addEventListener("cancel", () => resolve(false));
  });
  question(stop.signal, (counting) => (text.textContent = counting)).then(
    (found) => {
      text.textContent = found.text;
      yes.textContent = found.yes ?? "Replay";
      yes.disabled = !found.yes;
    },
    (error) => (text.textContent = `Failed: ${error.message}.`),
  );
  const isYes = await answer;
  stop.abort();
  dialog.close();
  dialog.remove();
  if (before?.isConnected) before.focus();
  return isYes;
}
