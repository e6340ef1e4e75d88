// Creates elements from data. Content is always text: nothing here parses HTML.

/**
 * Creates an element with attributes and children. An attribute with the value true has no value in the document;
 * false, null and undefined omit it. `on` contains event listeners. String children become text nodes; null, undefined
 * and false are omitted.
 */
export function el(tag, attributes = {}, ...children) {
  return build(document.createElement(tag), attributes, children);
}

/** The same for SVG. */
export function svg(tag, attributes = {}, ...children) {
  return build(document.createElementNS("http://www.w3.org/2000/svg", tag), attributes, children);
}

function build(element, { on = {}, ...attributes }, children) {
  for (const [name, value] of Object.entries(attributes)) set(element, name, value);
  for (const [event, listener] of Object.entries(on)) element.addEventListener(event, listener);
  element.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

/** Sets or removes an attribute, if it differs. */
export function set(element, name, value) {
  if (value === false || value === null || value === undefined) element.removeAttribute(name);
  else if (element.getAttribute(name) !== (value === true ? "" : String(value))) {
    element.setAttribute(name, value === true ? "" : String(value));
  }
}

/** Sets a text, if it differs: screen readers would announce an unchanged text again. */
export function say(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** Shows the result of a user action, until the next one. */
export function note(text, isProblem = false) {
  const place = document.getElementById("note");
  place.classList.toggle("bad", isProblem);
  say(place, text);
}

/** Announces a background change to screen readers only. */
export function news(text) {
  say(document.getElementById("news"), text);
}

/** Untrusted text: its writing direction does not affect the surrounding text. */
export function foreign(text, attributes = {}) {
  return el("bdi", attributes, text);
}

/** A coloured label; `tone` is good, bad, wait or dull. */
export function badge(text, tone) {
  return el("span", { class: `badge ${tone}` }, text);
}
