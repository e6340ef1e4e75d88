// An operator at work, the listener of its apps, and triggers.

import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { Agent, createServer, request } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { OPERATOR, run, start } from "./program.js";

/** A listener; `answer(call)` gives the status of each call, and may be another one later. */
export async function listener(answer = () => 200) {
  const server = createServer((incoming, response) => {
    const parts = [];
    incoming.on("data", (part) => parts.push(part));
    incoming.on("end", () => {
      const status = self.answer(JSON.parse(Buffer.concat(parts)));
      response.writeHead(status, { "content-type": "text/plain" });
      response.end(status < 300 ? "ok" : "the shop is closed");
    });
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  const self = {
    answer,
    url: `http://127.0.0.1:${server.address().port}`,
    stop: () => new Promise((resolve) => (server.close(resolve), server.closeAllConnections())),
  };
  return self;
}

/** A folder that is gone when it is dropped. */
export async function folder() {
  const path = await mkdtemp(join(tmpdir(), "webhook-page-"));
  return { path, drop: () => rm(path, { recursive: true, force: true }) };
}

/** The ports that an operator says it serves. */
export function ports(ready) {
  return Object.fromEntries(ready.split(" ").map((part) => part.split(/=(.*)/s).slice(0, 2)));
}

/** `standalone` over these resources, with free ports, and with these flags. */
export async function standalone(resources, flags = []) {
  const place = await folder();
  await writeFile(join(place.path, "all.yaml"), resources.map((one) => JSON.stringify(one)).join("\n---\n"));
  const data = join(place.path, "data");
  const free = "127.0.0.1:0";
  const program = await start(OPERATOR, [
    "standalone", "--manifests", place.path, "--data-dir", data,
    "--trigger-addr", free, "--app-api-addr", free, "--admin-addr", free, ...flags,
  ]);
  const { trigger, admin } = ports(program.ready);
  const stop = () => program.stop().then(place.drop);
  return { trigger, admin, stop };
}

/** The CRDs, as the program prints them. */
export function crds() {
  return run(OPERATOR, ["crds"]);
}

const agent = new Agent({ keepAlive: true, maxSockets: 32 });

/** Sends an event; resolves with the status and the body of the answer. */
export function trigger(url, body, headers = {}) {
  return new Promise((resolve, reject) => {
    const sent = request(url, { method: "POST", agent, headers: { "content-type": "application/json", ...headers } }, (answer) => {
      let text = "";
      answer.on("data", (part) => (text += part));
      answer.on("end", () => resolve({ status: answer.statusCode, text }));
    });
    sent.on("error", reject);
    sent.end(body);
  });
}

/** Sends something by hand: fetch lets nobody choose the header Host. */
export function ask(url, headers = {}) {
  return new Promise((resolve, reject) => {
    const sent = request(url, { headers }, (answer) => {
      answer.resume();
      answer.on("end", () => resolve({ status: answer.statusCode, headers: answer.headers }));
    });
    sent.on("error", reject);
    sent.end();
  });
}

/** Waits until `check` gives something that is true. */
export async function eventually(what, check, milliseconds = 30_000) {
  const deadline = Date.now() + milliseconds;
  for (;;) {
    const found = await check();
    if (found) return found;
    if (Date.now() > deadline) throw new Error(`waited in vain for ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
