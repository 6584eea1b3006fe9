// Making elements: text is always text, never markup.
export const $ = (id) => document.getElementById(id);
export const desk = $("desk");
const SVG = "http://www.w3.org/2000/svg";

/** Make an element. Attributes that begin with "on" are listeners, `data` is its dataset; children that are null, false or "" are left out. */
export function el(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name === "data") Object.assign(made.dataset, value);
    else if (name === "class") made.className = value;
    else if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else made.setAttribute(name, value === true ? "" : value);
  }
  made.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false && child !== ""));
  return made;
}

export function icon(name) {
  const made = document.createElementNS(SVG, "svg");
  made.setAttribute("class", "icon");
  made.setAttribute("aria-hidden", "true");
  made.setAttribute("focusable", "false");
  const use = document.createElementNS(SVG, "use");
  use.setAttribute("href", `${desk.dataset.icons}#${name}`);
  made.append(use);
  return made;
}

export function badge(look, word = look.label) {
  return el("span", { class: `badge tone-${look.tone}` }, icon(look.icon), word);
}

/** A button with an icon; its word is read, and shown where there is room. */
export function button(word, { name, key = "", onclick, kind = "btn", ...rest }) {
  return el("button", { type: "button", class: kind, title: key ? `${word} (${key})` : word, onclick, ...rest }, name && icon(name), el("span", { class: "word" }, word));
}

export const hidden = (text) => el("span", { class: "visually-hidden" }, text);
export const isTyping = (target) => Boolean(target.closest?.("input:not([type=checkbox]), textarea, select, [contenteditable]"));
export const isWide = () => matchMedia("(min-width: 768px)").matches;
