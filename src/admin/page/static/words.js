// Values as people read them.

import { el } from "./dom.js";

const DATE = new Intl.DateTimeFormat("en-GB", { day: "2-digit", month: "short", hour: "2-digit", minute: "2-digit", second: "2-digit" });
const CLOCK = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit" });
const NUMBER = new Intl.NumberFormat("en-GB");

export function count(number) {
  return NUMBER.format(number);
}

/** A number with its noun. */
export function counted(number, one, many) {
  return `${count(number)} ${number === 1 ? one : many}`;
}

/** A moment in local time, today's by the clock alone; pointing at it tells the time in full. */
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
  Rejected: "rejected by the listener",
  AppDeleted: "the app was deleted",
};

/** Where a delivery stands: words, and the tone of a badge. */
export function stateOf(delivery) {
  if (delivery.state === "succeeded") return ["succeeded", "good"];
  if (delivery.state === "dead") return ["dead", "bad"];
  return [delivery.waiting ? "waiting" : "pending", "wait"];
}

/** What there is to say about where it stands. */
export function because(delivery) {
  if (delivery.reason) return REASONS[delivery.reason] ?? delivery.reason;
  return delivery.waiting ? "waits for the one before it" : "";
}

/** How an app or a webhook is: words, and the tone of a badge. */
export function readiness(item) {
  if (item.ready && item.reachable === false) return ["not answering", "bad"];
  if (item.ready) return ["ready", "good"];
  if (item.suspended) return ["suspended", "wait"];
  return item.reason === "Progressing" ? ["progressing", "wait"] : ["not ready", "bad"];
}

/** The end of an id: the beginnings of ids of one day are the same. */
export function short(id) {
  return `…${id.slice(-12)}`;
}
