// Formats values for display.

import { el } from "./dom.js";

const DATE = new Intl.DateTimeFormat("en-GB", { day: "2-digit", month: "short", hour: "2-digit", minute: "2-digit", second: "2-digit" });
const CLOCK = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit" });
const NUMBER = new Intl.NumberFormat("en-GB");

export function count(number) {
  return NUMBER.format(number);
}

/** A number with its noun, singular or plural. */
export function counted(number, one, many) {
  return `${count(number)} ${number === 1 ? one : many}`;
}

/** A time in local time, without the date if it is today; the tooltip has the full time. */
export function time(text) {
  if (!text) return el("span", { class: "dull" }, "–");
  const date = new Date(text);
  const isToday = date.toDateString() === new Date().toDateString();
  return el("time", { datetime: text, title: text }, (isToday ? CLOCK : DATE).format(date));
}

export function clock(date) {
  return CLOCK.format(date);
}

export function milliseconds(number) {
  return number < 1000 ? `${number} ms` : `${(number / 1000).toFixed(1)} s`;
}

export function bytes(number) {
  if (number < 1024) return counted(number, "byte", "bytes");
  return number < 1024 * 1024 ? `${(number / 1024).toFixed(1)} KiB` : `${(number / 1024 / 1024).toFixed(1)} MiB`;
}

const REASONS = {
  AttemptsUsedUp: "all attempts failed",
  TooOld: "too old",
  Unreadable: "its record cannot be read",
  TransformFailed: "the webhook's transform fails",
  Rejected: "rejected by the listener",
  AppDeleted: "the app was deleted",
};

/** State of a delivery: text and tone of its badge. */
export function stateOf(delivery) {
  if (delivery.state === "succeeded") return ["succeeded", "good"];
  if (delivery.state === "dead") return ["dead", "bad"];
  return [delivery.waiting ? "waiting" : "pending", "wait"];
}

/** Reason of the state, or an empty text. */
export function because(delivery) {
  if (delivery.reason) return REASONS[delivery.reason] ?? delivery.reason;
  return delivery.waiting ? "waiting for the previous event" : "";
}

/** State of an app or a webhook: text and tone of its badge. */
export function readiness(item) {
  if (item.ready && item.reachable === false) return ["not answering", "bad"];
  if (item.ready) return ["ready", "good"];
  if (item.suspended) return ["suspended", "wait"];
  return item.reason === "Progressing" ? ["progressing", "wait"] : ["not ready", "bad"];
}

/** The end of an id: ids of one day have the same beginning. */
export function short(id) {
  return `…${id.slice(-12)}`;
}
