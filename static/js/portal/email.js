// An address that the answer may be sent to, while the desk is closed and no one has answered.
import { below, call, fill, kept, places, words } from "./session.js";

const form = document.getElementById("email");
const field = document.getElementById("email-address");
const said = document.getElementById("email-said");
const asking = form.querySelectorAll("label, .row");

/** Show the form, or hide it; not while one writes in it, and what became of it stays. */
export function askForEmail(isWanted) {
  if (form.contains(document.activeElement) || !said.hidden) return;
  form.hidden = !(isWanted && !kept.get("email"));
}

/** Another visitor is here. */
export function forgetEmail() {
  field.value = "";
  form.hidden = said.hidden = true;
  for (const part of asking) part.hidden = false;
}

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  said.hidden = false;
  try {
    const { email } = await call("POST", below(places.help, "email/"), { body: { email: field.value }, needs: true });
    kept.set("email", email);
    said.textContent = fill(words.email_kept, { email });
    for (const part of asking) part.hidden = true;
  } catch (error) {
    said.textContent = error.errors?.[0]?.message || error.message || words.wrong;
  }
});
