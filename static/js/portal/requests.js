// The visitor's tickets.
import { below, call, make, places, token, words } from "./session.js";

const said = document.getElementById("requests-said");
const again = document.getElementById("requests-again");
const day = new Intl.DateTimeFormat(document.documentElement.lang || "en", { dateStyle: "medium" });

async function load() {
  again.hidden = true;
  said.hidden = false;
  if (!token()) { said.hidden = true; document.getElementById("requests-none").hidden = false; return; }
  try {
    const { tickets } = await call("GET", below(places.help, "tickets/"));
    said.hidden = true;
    document.getElementById("requests-none").hidden = tickets.length > 0;
    document.getElementById("requests-ways").hidden = !tickets.length;
    document.getElementById("requests").replaceChildren(...tickets.map((ticket) => make("li", {},
      make("p", { className: "row between" }, make("a", { href: below(places.help, `requests/${ticket.number}/`), text: ticket.subject }), make("span", { className: `badge tone-${ticket.tone}`, text: ticket.label })),
      make("p", { className: "soft", text: `#${ticket.number} · ${ticket.type} · ${day.format(new Date(ticket.changed_at))}` }))));
  } catch (error) {
    said.hidden = false;
    if (error.code === "session_ended") { said.hidden = true; document.getElementById("requests-none").hidden = false; return; }
    said.textContent = words.wrong;
    again.hidden = false;
  }
}

again.querySelector("button").addEventListener("click", load);
load();
