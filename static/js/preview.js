// What is being written, rendered with its examples by the server, a moment after the last key.
"use strict";
addEventListener("DOMContentLoaded", () => {
  const panel = document.getElementById("preview");
  const form = document.getElementById("template_form");
  if (!panel || !form) return;
  const channel = () => form.elements.channel?.value || panel.dataset.channel;
  let timer = 0;
  let last = 0;

  function values() {
    const body = new URLSearchParams();
    for (const name of ["subject", "body", "html", "variables"]) body.set(name, form.elements[name]?.value ?? "");
    body.set("channel", channel());
    body.set("csrfmiddlewaretoken", form.elements.csrfmiddlewaretoken.value);
    return body;
  }

  async function render() {
    const turn = ++last;
    let shown;
    try {
      const answer = await fetch(panel.dataset.url, { method: "POST", body: values(), headers: { Accept: "application/json" } });
      if (!answer.ok) return;
      shown = await answer.json();
    } catch { return; }
    if (turn !== last) return;
    const part = (name) => panel.querySelector(`[data-part="${name}"]`);
    part("problem").hidden = !shown.problem;
    part("problem-text").textContent = shown.problem ?? "";
    if (shown.problem) return;
    part("subject").textContent = shown.subject;
    part("subject").hidden = !shown.subject;
    part("body").textContent = shown.body;
    part("sms").textContent = shown.sms;
    part("html").hidden = !shown.has_html;
    if (shown.has_html) {
      const sender = document.getElementById("preview-form");
      for (const [name, value] of values()) sender.elements[name].value = value;
      sender.submit();
    }
  }

  form.addEventListener("input", () => { clearTimeout(timer); timer = setTimeout(render, 350); });
  render();
});
