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
  const said = id("menu-said");
  const tell = (message) => { said.hidden = !message; said.textContent = message; };

  async function doing(work) {
    tell("");
    try { tell(await work()); } catch (error) { tell(error.errors?.[0]?.message || error.message || words.wrong); }
  }

  button.addEventListener("click", () => {
    tell("");
    id("elsewhere-link").hidden = true;
    id("transcript").hidden = !conversation() || !desk().mails;
    for (const part of menu.querySelectorAll("#elsewhere [data-mail]")) part.hidden = !desk().mails;
    for (const name of ["transcript-address", "elsewhere-address"]) id(name).placeholder = desk().email ?? "";
    menu.showModal();
  });
  id("menu-close").addEventListener("click", () => menu.close());
  menu.addEventListener("close", () => button.focus());
  id("transcript").addEventListener("submit", (event) => {
    event.preventDefault();
    doing(async () => {
      const body = { conversation: conversation(), email: id("transcript-address").value };
      return fill(words.mailed, await call("POST", below(places.help, "transcript/"), { body }));
    });
  });
  id("elsewhere").addEventListener("submit", (event) => {
    event.preventDefault();
    const isMail = event.submitter?.value === "mail" || document.activeElement === id("elsewhere-address");
    doing(async () => {
      const email = isMail ? id("elsewhere-address").value || desk().email || "" : "";
      if (isMail && !email.includes("@")) { id("elsewhere-address").focus(); return words.wrong; }
      const made = await call("POST", below(places.help, "device/"), { body: { email } });
      if (made.email) return fill(words.mailed, made);
      drawCode(made.qr);
      id("elsewhere-link").querySelector("output").textContent = made.url;
      id("elsewhere-link").hidden = false;
      return "";
    });
  });
  id("copy").addEventListener("click", () => doing(async () => {
    await navigator.clipboard.writeText(id("elsewhere-link").querySelector("output").textContent);
    return words.copied;
  }));
}
