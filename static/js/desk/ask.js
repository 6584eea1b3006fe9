// A form in a dialog, for the few actions that need more than a choice.
import { $, el } from "./dom.js";
import { sayFailed } from "./toast.js";

const dialog = $("desk-ask");
const form = dialog.querySelector("form");
let wanted = null;
let sending = false;

/** Several of a list, each with a box; `isOn` ticks it at first. */
function boxesOf({ name, label, options }) {
  const boxes = options.map((option, index) => {
    const id = `desk-ask-${name}-${index}`;
    const box = el("input", { id, name, type: "checkbox", value: option.value });
    box.checked = Boolean(option.isOn);
    return el("li", {}, box, el("label", { for: id }, option.label, option.hint && el("span", { class: "soft" }, option.hint)));
  });
  return el("fieldset", { class: "field" }, el("legend", {}, label), el("ul", { class: "plain boxes", tabindex: "0" }, boxes), el("p", { class: "wrong", data: { wrong: name } }));
}

function fieldOf({ name, label, type = "text", value = "", options = null, required = true }) {
  if (type === "boxes") return boxesOf({ name, label, options });
  const id = `desk-ask-${name}`;
  const shared = { id, name, required };
  let input;
  if (options) input = el("select", shared, options.map((option) => el("option", { value: option.value }, option.label)));
  else if (type === "area") input = el("textarea", { ...shared, rows: 5, maxlength: 20_000 });
  else input = el("input", { ...shared, type });
  if (value) input.value = value;
  return el("div", { class: "field" }, el("label", { for: id }, label), input, el("p", { class: "wrong", data: { wrong: name } }));
}

function values() {
  const found = {};
  for (const element of form.elements) {
    if (!element.name) continue;
    if (element.type !== "checkbox") { found[element.name] = element.value; continue; }
    found[element.name] ??= [];
    if (element.checked) found[element.name].push(element.value);
  }
  return found;
}

function showWrong(error) {
  const rest = [];
  for (const each of error.problem?.errors ?? []) {
    const place = form.querySelector(`[data-wrong="${CSS.escape(each.field ?? "")}"]`);
    if (place) place.textContent = each.message; else rest.push(each.message);
  }
  $("desk-ask-wrong").textContent = error.problem?.errors?.length ? rest.join(" ") : error.message;
}

/** Ask for values; `submit(values)` sends them, and a refusal is shown at the fields while what was typed stays. `parts` stand before them. */
export function ask({ title, text = "", parts = [], fields = [], ok, submit }) {
  wanted = submit;
  sending = false;
  $("desk-ask-title").textContent = title;
  $("desk-ask-text").textContent = text;
  $("desk-ask-text").hidden = !text;
  $("desk-ask-wrong").textContent = "";
  $("desk-ask-ok").textContent = ok;
  $("desk-ask-fields").replaceChildren(...parts, ...fields.map(fieldOf));
  dialog.showModal();
  (form.querySelector("#desk-ask-fields :is(input:checked, input, select, textarea)") ?? $("desk-ask-ok")).focus();
}

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  if (sending) return;
  const mine = wanted;
  sending = true;
  for (const place of form.querySelectorAll(".wrong")) place.textContent = "";
  try {
    await mine(values());
    if (wanted === mine) dialog.close();
  } catch (error) {
    if (wanted === mine) showWrong(error); else sayFailed(error); // it was closed, and another may be open
  } finally { if (wanted === mine) sending = false; }
});
dialog.addEventListener("close", () => { if (!dialog.open) wanted = null; });
$("desk-ask-cancel").addEventListener("click", () => dialog.close());
