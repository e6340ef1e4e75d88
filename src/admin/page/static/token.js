// Asks for a token of the cluster, and explains how to create one.

import { askForTokenBy, hasToken, keepToken } from "./api.js";
import { el, note, say } from "./dom.js";

let asking = null;

/** Enables the token dialog for calls that are not authenticated. */
export function askWhenNeeded() {
  askForTokenBy((why) => (asking ??= ask(why).finally(() => (asking = null))));
  const forget = document.getElementById("forget");
  forget.addEventListener("click", () => {
    keepToken(null);
    // Reloading discards all data that was read with the token.
    location.reload();
  });
}

function ask(why) {
  const problem = el("p", { class: "problem", role: "alert", id: "token-problem" });
  const field = el("input", {
    id: "token", type: "password", required: true, autocomplete: "off", spellcheck: "false", "aria-describedby": "token-problem",
  });
  const form = el(
    "form",
    {},
    el("h2", { id: "token-title" }, "Token required"),
    el("p", {}, "This operator runs in a cluster, and shows the data that your token may read. Create a token for a ServiceAccount:"),
    el("pre", { tabindex: "0" }, "kubectl create token NAME --namespace NAMESPACE \\\n  --audience webhook-operator --duration 1h"),
    el("p", {}, "It needs the verbs ", el("code", {}, "list"), " and ", el("code", {}, "get"), " on ",
      el("code", {}, "webhooks/deliveries"), " of ", el("code", {}, "lenra.io"), ", and ", el("code", {}, "create"),
      " to replay. The token is kept in memory only, until you close or reload this page."),
    problem,
    el("label", { for: "token" }, "Token"),
    field,
    el("div", { class: "buttons" }, el("button", { class: "main" }, "Use this token")),
  );
  // The page is empty without a token, so Escape does not close the dialog.
  const dialog = el("dialog", { "aria-labelledby": "token-title", closedby: "none" }, form);
  document.body.append(dialog);
  dialog.showModal();
  field.focus();
  say(problem, why && `${why} Is it expired?`);
  return new Promise((resolve) => {
    // Browsers without `closedby` may close it at the second Escape, despite preventDefault.
    dialog.addEventListener("cancel", (event) => event.preventDefault());
    dialog.addEventListener("close", () => dialog.isConnected && dialog.showModal());
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      const value = field.value.trim();
      if (!/^[\x21-\x7e]+$/.test(value)) {
        say(problem, "Invalid token: it contains spaces or other characters that are not allowed in tokens.");
        return;
      }
      keepToken(value);
      field.value = "";
      dialog.remove();
      document.getElementById("forget").hidden = !hasToken();
      note("");
      resolve();
    });
  });
}
