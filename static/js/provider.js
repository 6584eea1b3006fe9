// Beside the configuration: the fields of the chosen kind.
"use strict";
addEventListener("DOMContentLoaded", () => {
  const choice = document.getElementById("id_kind");
  const show = () => { for (const kind of document.querySelectorAll("details.kind")) { kind.open = !choice || kind.dataset.kind === choice.value; kind.hidden = Boolean(choice) && !kind.open; } };
  if (!choice) return;
  choice.addEventListener("change", show);
  show();
});
