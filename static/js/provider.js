// The fields of the chosen kind, and of the groups that are used. Others keep what was typed, and the server does not read them.
"use strict";
addEventListener("DOMContentLoaded", () => {
  const choice = document.getElementById("id_kind");
  const show = () => { for (const part of document.querySelectorAll(".kind-fields")) part.hidden = part.dataset.kind !== choice.value; };
  const open = (box) => { for (const part of box.closest("fieldset").querySelectorAll(":scope > .inner")) part.hidden = !box.checked; };
  for (const box of document.querySelectorAll("[data-opens]")) { open(box); box.addEventListener("change", () => open(box)); }
  if (!choice) return;
  choice.addEventListener("change", show);
  show();
});
