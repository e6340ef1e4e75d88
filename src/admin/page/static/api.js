// Calls of the API of this very port. The token, where one is needed, is in this variable alone.

let token = null;
let onUnauthenticated = null;

/** Why a call failed, in words for people. */
export class Failure extends Error {
  constructor(status, reason, message) {
    super(message);
    this.status = status;
    this.reason = reason;
  }
}

/** Keeps a token until the page is closed or loaded anew; null forgets it. */
export function keepToken(value) {
  token = value;
}

export function hasToken() {
  return token !== null;
}

/** What asks for a token: it gets why the last one is not good, and resolves when there is a new one. */
export function askForTokenBy(ask) {
  onUnauthenticated = ask;
}

/** Reads from a path under /api; parameters that are empty are left out. */
export function read(path, parameters, signal) {
  const filled = Object.entries(parameters).filter(([, value]) => value !== "" && value !== undefined && value !== null);
  const query = new URLSearchParams(filled).toString();
  return call("GET", query ? `${path}?${query}` : path, undefined, signal);
}

/** Sends something to a path under /api. */
export function send(path, body = {}, signal = undefined) {
  return call("POST", path, JSON.stringify(body), signal);
}

async function call(method, path, body, signal) {
  for (;;) {
    const sent = token;
    const response = await request(method, path, body, signal);
    const value = await response.json().catch(() => ({}));
    if (response.ok) return value;
    if (response.status !== 401 || !onUnauthenticated) {
      throw new Failure(response.status, value.reason, value.message ?? `the answer was ${response.status}`);
    }
    // Another call may have brought a new token meanwhile.
    if (sent === token) await onUnauthenticated(sent === null ? "" : (value.message ?? ""));
    signal?.throwIfAborted();
  }
}

async function request(method, path, body, signal) {
  const headers = { Accept: "application/json" };
  if (token !== null) headers.Authorization = `Bearer ${token}`;
  if (body !== undefined) headers["Content-Type"] = "application/json";
  try {
    return await fetch(`/api${path}`, {
      method, headers, body, signal, cache: "no-store", credentials: "omit", redirect: "error", referrerPolicy: "no-referrer",
    });
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new Failure(0, "unreachable", "the operator cannot be reached");
  }
}
