// Apps and webhooks of the tests.

const APP = "00000000-0000-4000-8000-00000000000a";

/** The path of a webhook that was made with this number. */
export function pathOf(number) {
  return `/apps/${APP}/webhooks/${uuid(number)}`;
}

function uuid(number) {
  return `00000000-0000-4000-8000-${String(number).padStart(12, "0")}`;
}

/** The app `shop` of `team-a`. */
export function shop(url) {
  const retry = { schedule: ["200ms"], maxAttempts: 2, jitter: 0 };
  return resource("WebhookApp", "shop", { uuid: APP, listener: { url }, delivery: { retry } });
}

/** An app whose listener is not there. */
export function lost() {
  return resource("WebhookApp", "lost", { listener: { service: { name: "nowhere", port: 80 } } });
}

/** A webhook of it. */
export function webhook(name, number, spec = {}) {
  return resource("Webhook", name, { app: "shop", action: name, uuid: uuid(number), ...spec });
}

function resource(kind, name, spec) {
  return { apiVersion: "lenra.io/v1alpha1", kind, metadata: { name, namespace: "team-a" }, spec };
}
