// What a visitor can do with a conversation: have it sent by e-mail, and go on with it elsewhere.
import { below, call, fill, places, words } from "./session.js";

const id = (name) => document.getElementById(name);
const QUIET = 4; // modules of white around a QR code

function drawCode(rows) {
  const svg = id("qr");
  const size = rows.length + 2 * QUIET;
  svg.setAttribute("viewBox", `0 0 ${size} ${size}`);
  const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
  const dark = rows.flatMap((row, y) => [...row].map((module, x) => (module === "1" ? `M${x + QUIET} ${y + QUIET}h1v1h-1z` : "")));
  path.setAttribute("d", dark.join(""));
  svg.replaceChildren(path);
}

/** Have a button open the menu; `conversation` and `desk` return what is known by then. */
export function openMenu({ button, conversation, desk }) {
  const menu = id("menu");

  /** Say under a form what became of it. */
  function tell(form, message) {
    const said = form.querySelector("[role=status]");
    said.hidden = !message;
    said.textContent = message;
    if (message) said.scrollIntoView({ block: "nearest" });
  }

  async function doing(form, work) {
    tell(form, "");
    try { tell(form, await work()); } catch (error) { tell(form, error.errors?.[0]?.message || error.message || words.wrong); }
  }

  button.addEventListener("click", () => {
    for (const form of menu.querySelectorAll("form")) tell(form, "");
    id("elsewhere-link").hidden = true;
    id("transcript").hidden = !conversation() || !desk().mails;
    for (const part of menu.querySelectorAll("#elsewhere [data-mail]")) part.hidden = !desk().mails;
    id("transcript-address").placeholder = desk().email ?? "";
    menu.showModal();
  });
  id("menu-close").addEventListener("click", () => menu.close());
  menu.addEventListener("close", () => button.focus());
  id("transcript").addEventListener("submit", (event) => {
    event.preventDefault();
    doing(event.target, async () => {
      const body = { conversation: conversation(), email: id("transcript-address").value };
      return fill(words.mailed, await call("POST", below(places.help, "transcript/"), { body }));
    });
  });
  id("elsewhere").addEventListener("submit", (event) => {
    event.preventDefault();
    const isMail = event.submitter?.value === "mail" || document.activeElement === id("elsewhere-address");
    doing(event.target, async () => {
      const email = isMail ? id("elsewhere-address").value.trim() : "";
      if (isMail && !email) { id("elsewhere-address").focus(); return words.address; }
      const made = await call("POST", below(places.help, "device/"), { body: { email } });
      if (made.email) return fill(words.mailed, made);
      drawCode(made.qr);
      id("elsewhere-link").querySelector("output").textContent = made.url;
      id("elsewhere-link").hidden = false;
      return "";
    });
  });
  id("copy").addEventListener("click", () => doing(id("elsewhere"), async () => {
    const link = id("elsewhere-link").querySelector("output");
    try {
      await navigator.clipboard.writeText(link.textContent);
      return words.copied;
    } catch { // not allowed in this frame, or the page came over plain HTTP: it is marked, to be copied by hand
      getSelection().selectAllChildren(link);
      return "";
    }
  }));
}
