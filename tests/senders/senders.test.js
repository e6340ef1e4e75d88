// Official SDKs sign requests to the running operator: each is accepted and delivered as it was sent, and is rejected
// once one byte of it was changed.

import assert from "node:assert/strict";
import { Agent, request } from "node:http";
import { after, before, describe, test } from "node:test";

import { listener, standalone } from "../page/support/operator.js";
import * as node from "./sdks/node.js";
import * as python from "./sdks/python.js";

const SENDERS = [...node.SENDERS, ...python.SENDERS];
const APP = "a0000000-0000-4000-8000-000000000000";
const EXTERNAL_URL = "https://hooks.example.com/base";

const agent = new Agent({ keepAlive: true });
let operator, calls, signer;
const received = [];

const uuid = (index) => `b0000000-0000-4000-8000-${`${index}`.padStart(12, "0")}`;
const name = (index) => `sender-${index}`;

function resources() {
  const version = "lenra.io/v1alpha1";
  const app = {
    apiVersion: version,
    kind: "WebhookApp",
    metadata: { name: "app", namespace: "n" },
    spec: { uuid: APP, listener: { url: calls.url } },
  };
  const hooks = SENDERS.flatMap(({ type, secret }, index) => {
    const metadata = { name: name(index), namespace: "n" };
    const verify = [{ type, secretRefs: [{ name: name(index), key: "secret" }] }];
    const spec = { app: "app", action: name(index), uuid: uuid(index), delivery: { mode: "Sync" }, verify };
    return [
      { apiVersion: "v1", kind: "Secret", metadata, stringData: { secret } },
      { apiVersion: version, kind: "Webhook", metadata, spec },
    ];
  });
  return [app, ...hooks];
}

before(async () => {
  calls = await listener((call) => (received.push(call), 200));
  signer = python.start();
  operator = await standalone(resources(), ["--external-url", EXTERNAL_URL]);
});

after(async () => {
  agent.destroy();
  signer?.stop();
  await operator?.stop();
  await calls?.stop();
});

/** A signed request of the sender. */
async function signed(sender, index, { body, fields, contentType }) {
  const path = `/apps/${APP}/webhooks/${uuid(index)}${sender.query?.({ body }) ?? ""}`;
  const headers = await sender.sign({ url: `${EXTERNAL_URL}${path}`, body, fields }, signer);
  return { path, headers: { "content-type": contentType, ...headers }, body: Buffer.from(body) };
}

/** Sends a request; resolves with its status and its body. */
function send({ path, headers, body }) {
  return new Promise((resolve, reject) => {
    const options = { method: "POST", agent, headers: { ...headers, "content-length": body.length } };
    const sent = request(`${operator.trigger}${path}`, options, (answer) => {
      let text = "";
      answer.setEncoding("utf8").on("data", (part) => (text += part));
      answer.on("end", () => resolve({ status: answer.statusCode, text }));
    });
    sent.on("error", reject);
    sent.end(body);
  });
}

async function isAccepted(sent, index, event) {
  received.length = 0;
  const { status, text } = await send(sent);
  // Which success it is depends on what the provider takes.
  assert.equal(Math.floor(status / 100), 2, `${status} ${text}`);
  assert.equal(received.length, 1);
  assert.equal(received[0].action, name(index));
  assert.deepEqual(received[0].event, event);
}

async function isRejected(sent, what) {
  received.length = 0;
  const { status, text } = await send(sent);
  assert.equal(status, 401, `${what}: ${status} ${text}`);
  assert.equal(JSON.parse(text).reason, "invalid_signature", what);
  assert.equal(received.length, 0, what);
}

/** The same bytes, with the lowest bit of one changed. */
function changed(bytes, at) {
  const copy = Buffer.from(bytes);
  copy[at] ^= 1;
  return copy;
}

const every = (length) => Array.from({ length }, (_, at) => at);
const some = (length) => [...new Set([0, length >> 1, length - 1])];

async function bodyCounts(sent, positions) {
  for (const at of positions) {
    await isRejected({ ...sent, body: changed(sent.body, at) }, `byte ${at} of the body changed`);
  }
  await isRejected({ ...sent, body: Buffer.concat([sent.body, Buffer.from("x")]) }, "a byte added");
  await isRejected({ ...sent, body: sent.body.subarray(0, -1) }, "the last byte removed");
}

async function headerCounts(sent, header, positions) {
  for (const at of positions) {
    const value = changed(Buffer.from(sent.headers[header]), at).toString("latin1");
    await isRejected({ ...sent, headers: { ...sent.headers, [header]: value } }, `byte ${at} of ${header} changed`);
  }
}

for (const [index, sender] of SENDERS.entries()) {
  describe(sender.name, () => {
    for (const made of sender.bodies) {
      test(`${made.name} is accepted, and rejected once a byte was changed`, async () => {
        const sent = await signed(sender, index, made);
        await isAccepted(sent, index, made.event);
        await bodyCounts(sent, some(sent.body.length));
        await headerCounts(sent, sender.signature, some(sent.headers[sender.signature].length));
      });
    }

    test("every byte of the body and of every signed header counts, and so does a missing signature", async () => {
      const sent = await signed(sender, index, sender.bodies[0]);
      await isAccepted(sent, index, sender.bodies[0].event);
      await bodyCounts(sent, every(sent.body.length));
      const isSigned = (header) => /-(signature|timestamp|id)/.test(header);
      for (const header of Object.keys(sent.headers).filter(isSigned)) {
        await headerCounts(sent, header, every(sent.headers[header].length));
        const { [header]: _, ...others } = sent.headers;
        await isRejected({ ...sent, headers: others }, `without ${header}`);
      }
    });
  });
}
