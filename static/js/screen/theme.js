// Before the page is painted: the big screen is dark unless it was made light here before. A classic script, so that nothing flashes.
"use strict";
{
  let theme = "dark";
  try { theme = localStorage.getItem("posthaste.screen.theme") === "light" ? "light" : "dark"; } catch { /* storage is off: dark */ }
  document.documentElement.dataset.theme = theme;
}
