// The bodies that every SDK signs, and the event that the listener must receive for each.

const LARGE = 100 * 1024;

/** Text that a careless encoder damages: several scripts, an emoji, combining marks, line separators, a NUL escape. */
const UNICODE = "Grüße, Привет, 你好, مرحبا, 👩‍👩‍👧, e\u0301, \u2028\u2029, \u00a0, \u0000, \"\\/";

const EVENTS = {
  "ASCII": { type: "order.paid", amount: 4200, live: true, note: null },
  "unicode": { text: UNICODE, [UNICODE]: 1 },
  "empty object": {},
  "nested": { list: [1, [2, [{ three: [] }]]], empty: [], zero: 0, small: 1e-7, negative: -1.5 },
  "100 KiB": { text: "x".repeat(LARGE) },
  "100 KiB of unicode": { text: "ß€😀".repeat(LARGE / 9) },
};

/** Escapes every character that is not ASCII, as Python's and PHP's encoders do. */
function escaped(text) {
  const digits = (unit) => unit.charCodeAt(0).toString(16).padStart(4, "0");
  return text.replace(/[^\x00-\x7f]/g, (unit) => `\\u${digits(unit)}`);
}

/**
 * JSON bodies. `members` are those that the sender's events always have, a new set for each body; a sender with such
 * members sends nothing but objects.
 */
export function json(members) {
  const bodies = Object.entries(EVENTS).flatMap(([name, event]) => {
    const whole = { ...event, ...members?.() };
    const compact = JSON.stringify(whole);
    return [
      { name, body: compact, event: whole },
      { name: `${name}, escaped`, body: escaped(compact), event: whole },
      { name: `${name}, indented`, body: `${JSON.stringify(whole, null, 2)}\r\n`, event: whole },
    ];
  });
  const values = members ? [] : [[], [UNICODE, 1], 42, UNICODE, null, false];
  const others = values.map((value) => {
    const body = JSON.stringify(value);
    return { name: `the value ${body.slice(0, 20)}`, body, event: { _json: value } };
  });
  return [...bodies, ...others].map((one) => ({ ...one, contentType: "application/json" }));
}

const FORMS = {
  "ASCII": { From: "+14155550100", Body: "hello", NumMedia: "0" },
  "unicode": { Body: UNICODE.replace("\u0000", ""), "Naïve": "✓" },
  "delimiters": { Body: "a=b&c=d+e%20f;g #h?", "a=b": "&", "%41": "%42" },
  "blanks and empty values": { Body: "  two  blanks ", Empty: "", A: "\r\n\t" },
  "names that differ in case": { b: "1", B: "2", a: "3", A: "4", _: "5", 10: "6", 9: "7" },
  "many parameters": Object.fromEntries(Array.from({ length: 200 }, (_, n) => [`Param${n}`, `value ${n}`])),
  "100 KiB": { Body: "x".repeat(LARGE) },
  "100 KiB of unicode": { Body: "ß€😀".repeat(LARGE / 9 / 3) },
};

/** Bodies of urlencoded forms, with blanks as `+`, and with blanks as `%20`. */
export function forms() {
  return Object.entries(FORMS).flatMap(([name, fields]) => {
    const plus = new URLSearchParams(fields).toString();
    const body = { event: fields, fields, contentType: "application/x-www-form-urlencoded" };
    return [
      { ...body, name: `form: ${name}`, body: plus },
      { ...body, name: `form: ${name}, percent-encoded`, body: plus.replaceAll("+", "%20") },
    ];
  });
}
