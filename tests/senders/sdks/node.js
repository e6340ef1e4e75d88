// Senders whose requests are signed by the official SDKs for Node.

import { createHmac, generateKeyPairSync, randomUUID, sign as signBytes } from "node:crypto";
import { createRequire } from "node:module";

import * as bodies from "../bodies.js";

const require = createRequire(import.meta.url);
const Stripe = require("stripe");
const Twilio = require("twilio/lib/webhooks/webhooks.js");
const StandardWebhooks = require("standardwebhooks");
const Svix = require("svix");
const Octokit = await import("@octokit/webhooks-methods");
const Linear = await import("@linear/sdk/webhooks");
const Discord = require("discord-interactions");

const stripe = new Stripe("sk_test_none");

const seconds = () => Math.floor(Date.now() / 1000);

/** A key of Standard Webhooks: 24 bytes, base64, after the prefix. */
export const WHSEC = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";

export const TEXT_SECRET = "It's a Secret to Everybody, ünïcode too";

/** Headers of Standard Webhooks by any SDK that has this class. */
function standard(Webhook, prefix) {
  return ({ body }) => {
    const id = `msg_${randomUUID()}`;
    const now = new Date(seconds() * 1000);
    return {
      [`${prefix}-id`]: id,
      [`${prefix}-timestamp`]: `${seconds()}`,
      [`${prefix}-signature`]: new Webhook(WHSEC).sign(id, now, body),
    };
  };
}

/** Linear's SDK verifies only: the signature is made here, and the SDK must accept it. */
async function linear({ body }) {
  const signature = createHmac("sha256", TEXT_SECRET).update(body).digest("hex");
  const timestamp = JSON.parse(body).webhookTimestamp;
  const isValid = new Linear.LinearWebhookClient(TEXT_SECRET).verify(Buffer.from(body), signature, timestamp);
  if (!isValid) throw new Error("the SDK of Linear rejects this signature");
  return { "linear-signature": signature, "linear-delivery": randomUUID() };
}

const discordKeys = generateKeyPairSync("ed25519");
const discordKey = Buffer.from(discordKeys.publicKey.export({ format: "jwk" }).x, "base64url").toString("hex");

/** Discord's SDK verifies only: the signature is made here, and the SDK must accept it. */
async function discord({ body }) {
  const timestamp = `${seconds()}`;
  const signature = signBytes(null, Buffer.from(timestamp + body), discordKeys.privateKey).toString("hex");
  if (!(await Discord.verifyKey(body, signature, timestamp, discordKey))) {
    throw new Error("the SDK of Discord rejects this signature");
  }
  return { "x-signature-ed25519": signature, "x-signature-timestamp": timestamp };
}

const twilio = ({ url, fields }) => ({
  "x-twilio-signature": Twilio.getExpectedTwilioSignature(TEXT_SECRET, url, fields ?? {}),
});

/** Twilio's signature with a shared key. */
const twilioSharedKey = ({ url, fields }) => ({
  "x-twilio-signature": Twilio.getExpectedTwilioSignature(TEXT_SECRET, url, fields ?? {}, Twilio.HMAC_SHA256),
  [Twilio.SIGNATURE_SETTINGS_HEADER]: `key=webhooks_sharedkey_1,algorithm=${Twilio.HMAC_SHA256}`,
});

/**
 * Each sender: its SDK, the `type` and the secret of the entry in `spec.verify`, its bodies, and
 * `sign({url, body, fields})`, which gives the headers. `query` gives what the sender adds to the URL.
 */
export const SENDERS = [
  {
    name: "stripe",
    type: "Stripe",
    secret: WHSEC,
    bodies: bodies.json(),
    signature: "stripe-signature",
    sign: ({ body }) => ({
      "stripe-signature": stripe.webhooks.generateTestHeaderString({ payload: body, secret: WHSEC }),
    }),
  },
  {
    name: "standardwebhooks",
    type: "StandardWebhooks",
    secret: WHSEC,
    bodies: bodies.json(),
    signature: "webhook-signature",
    sign: standard(StandardWebhooks.Webhook, "webhook"),
  },
  {
    name: "standardwebhooks, as GitLab's signing token",
    type: "GitLab",
    secret: WHSEC,
    bodies: bodies.json(),
    signature: "webhook-signature",
    sign: standard(StandardWebhooks.Webhook, "webhook"),
  },
  {
    name: "svix",
    type: "StandardWebhooks",
    secret: WHSEC,
    bodies: bodies.json(),
    signature: "svix-signature",
    sign: standard(Svix.Webhook, "svix"),
  },
  {
    name: "@octokit/webhooks-methods",
    type: "GitHub",
    secret: TEXT_SECRET,
    bodies: bodies.json(),
    signature: "x-hub-signature-256",
    sign: async ({ body }) => ({
      "x-hub-signature-256": await Octokit.sign(TEXT_SECRET, body),
      "x-github-delivery": randomUUID(),
    }),
  },
  {
    name: "twilio",
    type: "Twilio",
    secret: TEXT_SECRET,
    bodies: bodies.forms(),
    signature: "x-twilio-signature",
    sign: twilio,
  },
  {
    name: "twilio, JSON",
    type: "Twilio",
    secret: TEXT_SECRET,
    bodies: bodies.json(),
    signature: "x-twilio-signature",
    query: ({ body }) => `?bodySHA256=${Twilio.getExpectedBodyHash(body)}`,
    sign: twilio,
  },
  {
    name: "twilio, shared key",
    type: "Twilio",
    secret: TEXT_SECRET,
    bodies: bodies.forms(),
    signature: "x-twilio-signature",
    sign: twilioSharedKey,
  },
  {
    name: "twilio, JSON, shared key",
    type: "Twilio",
    secret: TEXT_SECRET,
    bodies: bodies.json(),
    signature: "x-twilio-signature",
    query: ({ body }) => `?bodySHA256=${Twilio.getExpectedBodyHash(body)}`,
    sign: twilioSharedKey,
  },
  {
    name: "@linear/sdk",
    type: "Linear",
    secret: TEXT_SECRET,
    bodies: bodies.json(() => ({ webhookTimestamp: Date.now() })),
    signature: "linear-signature",
    sign: linear,
  },
  {
    name: "discord-interactions",
    type: "Discord",
    secret: discordKey,
    bodies: bodies.json(),
    signature: "x-signature-ed25519",
    sign: discord,
  },
];
