// The form of a ticket type: sent as JSON with the visitor's token; what is wrong stands under its field, and nothing written is lost.
import { below, call, newId, places, words } from "./session.js";

const form = document.getElementById("request");
const said = document.getElementById("request-said");
const client = newId(); // sent twice it is one request

function valueOf(field) {
  const kind = field.dataset.kind;
  if (kind === "yes_no") { const chosen = field.querySelector(":checked"); return chosen ? chosen.value === "yes" : null; }
  if (kind === "choices") return [...field.querySelectorAll(":checked")].map((box) => box.value);
  const written = field.querySelector("input, textarea, select").value;
  if (kind !== "number" || !written.trim()) return written;
  const number = Number(written.replace(",", "."));
  return Number.isNaN(number) ? written : number;
}

function complain(errors) {
  let first = null;
  for (const field of form.querySelectorAll(".field")) {
    const error = errors.find((one) => one.field === field.dataset.name);
    const place = field.querySelector(".error");
    const input = field.querySelector("input, textarea, select");
    place.hidden = !error;
    place.textContent = error?.message ?? "";
    if (error) input.setAttribute("aria-invalid", "true"); else input.removeAttribute("aria-invalid");
    if (error) first ??= input;
  }
  first?.focus();
  return first !== null;
}

form?.querySelector("[type=submit]").removeAttribute("disabled"); // held back until someone listens
form?.addEventListener("submit", async (event) => {
  event.preventDefault();
  const button = form.querySelector("[type=submit]");
  const values = Object.fromEntries([...form.querySelectorAll(".field")].map((field) => [field.dataset.name, valueOf(field)]));
  button.disabled = true;
  said.hidden = true;
  try {
    await call("POST", below(places.help, "tickets/"), { body: { type: form.dataset.type, client_id: client, values }, needs: true });
    form.hidden = true;
    const done = document.getElementById("request-done");
    done.hidden = false;
    done.focus();
  } catch (error) {
    if (!complain(error.errors ?? [])) {
      said.hidden = false;
      said.textContent = error.code === "identity_not_signed" ? words.must_sign : error.message || words.wrong;
    }
  } finally {
    button.disabled = false;
  }
});
