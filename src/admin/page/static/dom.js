// Elements made from data. What is shown is always text: nothing here reads HTML.

/**
 * An element with attributes and children. An attribute that is true is there without a value, one that is
 * false, null or undefined is not there; `on` has listeners; strings among the children become text, and null and false are left out.
 */
export function el(tag, attributes = {}, ...children) {
  return build(document.createElement(tag), attributes, children);
}

/** The same, of SVG. */
export function svg(tag, attributes = {}, ...children) {
  return build(document.createElementNS("http://www.w3.org/2000/svg", tag), attributes, children);
}

function build(element, { on = {}, ...attributes }, children) {
  for (const [name, value] of Object.entries(attributes)) set(element, name, value);
  for (const [event, listener] of Object.entries(on)) element.addEventListener(event, listener);
  element.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

/** Sets or removes an attribute; nothing is touched that is as it should be. */
export function set(element, name, value) {
  if (value === false || value === null || value === undefined) element.removeAttribute(name);
  else if (element.getAttribute(name) !== (value === true ? "" : String(value))) {
    element.setAttribute(name, value === true ? "" : String(value));
  }
}

/** Sets a text; one that is there already is not announced again. */
export function say(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** What a person did, or what came of it, until something else happens. */
export function note(text, isProblem = false) {
  const place = document.getElementById("note");
  place.classList.toggle("bad", isProblem);
  say(place, text);
}

/** What happened by itself: only said, to who does not see it. */
export function news(text) {
  say(document.getElementById("news"), text);
}

/** A text that strangers may have written: its direction does not change that of what is around it. */
export function foreign(text, attributes = {}) {
  return el("bdi", attributes, text);
}

/** A text on a coloured ground; `tone` is good, bad, wait or dull. */
export function badge(text, tone) {
  return el("span", { class: `badge ${tone}` }, text);
}
