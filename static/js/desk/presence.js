// Whether one is there: online, on a break, offline. The switch is in the header of the desk.
import { send } from "./api.js";
import { $, icon } from "./dom.js";
import { openMenu } from "./menu.js";
import { me, on, tell } from "./store.js";
import { look, words } from "./texts.js";
import { sayFailed } from "./toast.js";

const place = $("presence");

function draw() {
  place.hidden = !me.agent;
  if (!me.agent) return;
  const shown = look("presence", me.agent.presence);
  place.className = `tool tone-${shown.tone}`;
  place.replaceChildren(icon(shown.icon), place.querySelector("[data-word]"), icon("chevron"));
  place.querySelector("[data-word]").textContent = shown.label;
}

export async function choose(presence) {
  const before = me.agent.presence;
  me.agent.presence = presence;
  draw();
  try {
    const told = await send("presence/", { presence });
    Object.assign(me.agent, told.agent);
    tell("presence");
    tell("look"); // who goes online is given what waits
  } catch (error) {
    me.agent.presence = before;
    sayFailed(error);
  }
  draw();
}

place.addEventListener("click", () => {
  const items = Object.entries(words.looks.presence).map(([value, shown], index) => ({ value, label: shown.label, icon: shown.icon, tone: shown.tone, isOn: value === me.agent.presence, key: String(index + 1) }));
  openMenu(place, { title: look("presence", me.agent.presence).label, items, pick: choose, goesTo: $("rows") });
});
on("me", draw);
