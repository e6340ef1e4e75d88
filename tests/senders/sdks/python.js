// Senders whose requests are signed by the official SDKs for Python: sign.py, which reads one request per line and
// writes the headers of each.

import { spawn } from "node:child_process";
import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

import * as bodies from "../bodies.js";
import { TEXT_SECRET, WHSEC } from "./node.js";

const file = (name) => fileURLToPath(new URL(name, import.meta.url));

/** Starts sign.py. */
export function start() {
  const child = spawn(file("../python/bin/python"), [file("sign.py")], { stdio: ["pipe", "pipe", "inherit"] });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const failed = once(child, "error").then(([error]) => Promise.reject(error));
  failed.catch(() => {});
  const sign = async (sdk, request) => {
    child.stdin.write(`${JSON.stringify({ sdk, id: `msg_${randomUUID()}`, ...request })}\n`);
    const { value, done } = await Promise.race([lines.next(), failed]);
    if (done) throw new Error("sign.py ended");
    return JSON.parse(value);
  };
  return { sign, stop: () => child.stdin.end() };
}

const sender = (name, type, secret, signature, made, more) => ({
  name: `${name} (Python)`,
  type,
  secret,
  signature,
  bodies: made,
  sign: (request, signer) => signer.sign(name, { secret, ...request }),
  ...more,
});

export const SENDERS = [
  sender("stripe", "Stripe", WHSEC, "stripe-signature", bodies.json()),
  sender("standardwebhooks", "StandardWebhooks", WHSEC, "webhook-signature", bodies.json()),
  sender("svix", "StandardWebhooks", WHSEC, "svix-signature", bodies.json()),
  sender("slack_sdk", "Slack", TEXT_SECRET, "x-slack-signature", [...bodies.json(), ...bodies.forms()]),
  sender("twilio", "Twilio", TEXT_SECRET, "x-twilio-signature", bodies.forms()),
];
