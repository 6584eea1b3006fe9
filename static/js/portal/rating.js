// The rating of a conversation, or of a ticket, that was resolved: asked for once, and changed for a day.
import { below, call, places, words } from "./session.js";

export class Rating {
  /** `sent()` hears that it has arrived: what was asked for before knows nothing of it. `path`: where a ticket's goes; without one it is that of a conversation. */
  constructor(form, rated, sent, path = "") {
    Object.assign(this, { form, rated, sent, path, conversation: null });
    this.said = form.querySelector("#rating-said");
    form.addEventListener("submit", (event) => { event.preventDefault(); this.send(); });
    rated.querySelector("button").addEventListener("click", () => {
      this.rated.hidden = true;
      this.form.hidden = false;
      this.form.querySelector("input").focus();
    });
  }

  /** Show the form, or that it was filled in; null: no rating is asked for. */
  show(asked) {
    this.conversation = asked?.conversation ?? null; // the one that it is asked for: its lines may not have come yet
    if (!asked || (!asked.open && asked.score === null)) {
      this.form.hidden = this.rated.hidden = true;
      return;
    }
    if (asked.score === null) {
      if (this.form.hidden) this.form.reset();
      this.form.hidden = false;
      this.rated.hidden = true;
      return;
    }
    for (const field of this.form.querySelectorAll("[name=score]")) field.checked = Number(field.value) === asked.score;
    this.form.elements.comment.value = asked.comment;
    this.form.hidden = true;
    this.rated.hidden = false;
    this.rated.querySelector("span").textContent = `${words.thanks} (${asked.score}/5)`;
    this.rated.querySelector("button").hidden = !asked.open;
  }

  complain(message) {
    this.said.textContent = message;
    this.said.hidden = !message;
  }

  async send() {
    const score = Number(this.form.elements.score.value);
    if (!score) { this.complain(words.choose); return; }
    this.complain("");
    try {
      const said = { score, comment: this.form.elements.comment.value };
      const body = this.path ? said : { conversation: this.conversation, ...said };
      this.show(await call("POST", below(places.help, this.path || "rating/"), { body }));
      this.rated.querySelector("button").focus();
      this.sent();
    } catch (error) {
      this.complain(error.errors?.[0]?.message || error.message || words.wrong);
    }
  }
}
