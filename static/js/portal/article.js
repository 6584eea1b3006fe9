// Whether an article helped: counted once for a visitor.
import { below, call, places, words } from "./session.js";

const place = document.getElementById("vote");
const said = document.getElementById("vote-said");
for (const button of place.querySelectorAll("button")) {
  button.disabled = false;
  button.addEventListener("click", async () => {
    try {
      const { counted } = await call("POST", below(places.help, `vote/${encodeURIComponent(place.dataset.slug)}/`), { body: { helpful: button.value === "1" } });
      said.textContent = counted ? words.thanks : words.known;
      document.getElementById("vote-buttons").hidden = true;
    } catch (error) {
      said.textContent = error.message || words.wrong;
    }
  });
}
