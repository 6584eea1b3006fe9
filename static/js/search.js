// The search of the header: "/" goes there, results come while one types, arrows walk through them. Without this it leads to its page.
const form = document.getElementById("find");
const field = document.getElementById("find-what");
const list = document.getElementById("find-results");
const WAIT_MS = 200;
let timer = 0;
let asked = "";

async function look() {
  const term = field.value.trim();
  asked = term;
  if (!term) { list.hidden = true; list.replaceChildren(); return; }
  try {
    const answer = await fetch(`${form.getAttribute("action")}?${new URLSearchParams({ q: term })}`, { headers: { Accept: "text/html", "X-Panel": "1" } });
    if (!answer.ok || asked !== term) return;
    const found = new DOMParser().parseFromString(await answer.text(), "text/html").getElementById("found");
    if (!found) return;
    list.replaceChildren(document.adoptNode(found));
    found.removeAttribute("id");
    list.hidden = false;
  } catch { /* Enter still leads to the page of the search */ }
}

if (form) {
  field.addEventListener("input", () => { clearTimeout(timer); timer = setTimeout(look, WAIT_MS); });
  field.addEventListener("focus", () => { if (list.childElementCount) list.hidden = false; });
  form.addEventListener("keydown", (event) => {
    const links = [...list.querySelectorAll("a")];
    const at = links.indexOf(document.activeElement);
    if (event.key === "ArrowDown" && links.length) { event.preventDefault(); links[Math.min(at + 1, links.length - 1)].focus(); }
    if (event.key === "ArrowUp" && links.length) { event.preventDefault(); if (at > 0) links[at - 1].focus(); else field.focus(); }
    if (event.key === "Escape") { list.hidden = true; field.blur(); event.stopPropagation(); }
  });
  document.addEventListener("click", (event) => { if (!form.contains(event.target)) list.hidden = true; });
  document.addEventListener("keydown", (event) => {
    if (event.key !== "/" || event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, textarea, select, [contenteditable]")) return;
    event.preventDefault();
    field.focus();
    field.select();
  });
}
