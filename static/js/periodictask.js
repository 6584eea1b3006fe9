// The chosen crontab in words, below the choice.
"use strict";
{
  const words = JSON.parse(document.getElementById("readable-crontabs").textContent || "{}");
  const choice = document.getElementById("id_crontab");
  const help = document.querySelector(".field-crontab .help > div");
  if (choice && help) {
    const original = help.textContent;
    const show = () => { const said = words[choice.value]; help.textContent = said ? `${original} – ${said}` : original; };
    choice.addEventListener("change", show);
    show();
  }
  const translation = document.querySelector(".field-crontab_translation");
  if (translation) translation.hidden = true;
}
