// Before the page is painted: whether the rail was left folded. A classic script, so that nothing jumps.
"use strict";
{
  let folded = false;
  try { folded = localStorage.getItem("posthaste.rail") === "narrow"; } catch { /* storage is off: unfolded */ }
  if (folded) document.documentElement.dataset.rail = "narrow";
}
