// On a phone each row of a wide table stands as a card (admin.css): its cells get the words of their columns, and every part keeps
// the role that a display other than a table's would take away.
const NARROW_ENOUGH = 3;
const NOTHING = new Set(["", "-", "–"]);

export function asCards(root = document) {
  for (const table of root.querySelectorAll("#result_list, table.listing")) {
    const heads = [...table.querySelectorAll("thead th")];
    if (heads.length <= NARROW_ENOUGH) continue;
    const words = heads.map((head) => (head.matches(".action-checkbox-column") ? "" : (head.querySelector(".text") ?? head).textContent.trim()));
    table.classList.add("as-cards");
    table.setAttribute("role", "table");
    for (const part of table.querySelectorAll("thead, tbody")) part.setAttribute("role", "rowgroup");
    for (const row of table.rows) {
      row.setAttribute("role", "row");
      const inBody = row.parentElement.tagName === "TBODY";
      if (inBody) (row.querySelector("th") ?? [...row.cells].find((cell) => !cell.querySelector("input")))?.setAttribute("data-title", "");
      [...row.cells].forEach((cell, place) => {
        cell.setAttribute("role", cell.tagName === "TD" ? "cell" : inBody ? "rowheader" : "columnheader");
        if (!inBody || row.cells.length !== heads.length) return;
        if (words[place]) cell.dataset.label = words[place];
        cell.toggleAttribute("data-nothing", NOTHING.has(cell.textContent.trim()) && !cell.querySelector("input, button, svg"));
      });
    }
  }
}

asCards();
