// Asks for a token of the cluster, and says how to get one.

import { askForTokenBy, hasToken, keepToken } from "./api.js";
import { el, note, say } from "./dom.js";

let asking = null;

/** From now on whoever has no token is asked for one. */
export function askWhenNeeded() {
  askForTokenBy((why) => (asking ??= ask(why).finally(() => (asking = null))));
  const forget = document.getElementById("forget");
  forget.addEventListener("click", () => {
    keepToken(null);
    // Nothing of what was read with it stays.
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
    el("h2", { id: "token-title" }, "A token, please"),
    el("p", {}, "This operator runs in a cluster: it shows you what the cluster allows you to see. Make a token of a ServiceAccount:"),
    el("pre", { tabindex: "0" }, "kubectl create token NAME --namespace NAMESPACE \\\n  --audience webhook-operator --duration 1h"),
    el("p", {}, "It needs the verbs ", el("code", {}, "list"), " and ", el("code", {}, "get"), " on ",
      el("code", {}, "webhooks/deliveries"), " of ", el("code", {}, "lenra.io"), ", and ", el("code", {}, "create"),
      " to replay. The token stays in this page's memory, and is gone when you close or reload it."),
    problem,
    el("label", { for: "token" }, "Token"),
    field,
    el("div", { class: "buttons" }, el("button", { class: "main" }, "Use this token")),
  );
  const dialog = el("dialog", { "aria-labelledby": "token-title" }, form);
  document.body.append(dialog);
  dialog.showModal();
  field.focus();
  say(problem, why && `${why} Is it expired?`);
  return new Promise((resolve) => {
    // There is nothing to see without a token. A browser may close the dialog all the same.
    dialog.addEventListener("cancel", (event) => event.preventDefault());
    dialog.addEventListener("close", () => dialog.isConnected && dialog.showModal());
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      const value = field.value.trim();
      if (!/^[\x21-\x7e]+$/.test(value)) {
        say(problem, "This is no token: it has blanks or other characters that no token has.");
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
