// Calls the API on the same port. The token, if one is needed, is stored only in this variable.

let token = null;
let onUnauthenticated = null;

/** Error of a call, with a message for users. */
export class Failure extends Error {
  constructor(status, reason, message) {
    super(message);
    this.status = status;
    this.reason = reason;
  }
}

/** Keeps a token until the page is closed or reloaded; null discards it. */
export function keepToken(value) {
  token = value;
}

export function hasToken() {
  return token !== null;
}

/** Sets the function that asks for a token. Its argument is the error of the last one; it resolves once a token is set. */
export function askForTokenBy(ask) {
  onUnauthenticated = ask;
}

/** GET of a path under /api; empty parameters are omitted. */
export function read(path, parameters, signal) {
  const filled = Object.entries(parameters).filter(([, value]) => value !== "" && value !== undefined && value !== null);
  const query = new URLSearchParams(filled).toString();
  return call("GET", query ? `${path}?${query}` : path, undefined, signal);
}

/** POST to a path under /api. */
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
      throw new Failure(response.status, value.reason, value.message ?? `status ${response.status}`);
    }
    // A concurrent call may have set a new token.
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
