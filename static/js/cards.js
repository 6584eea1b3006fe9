// On a phone each row of a wide table stands as a card (admin.css): its cells get the words of their columns, and every part keeps
// the role that a display other than a table's would take away.
// In a list of the one pattern (table.rows) a row has two lines: what it is with its state, and the rest.
const NARROW_ENOUGH = 3;
const NOTHING = new Set(["", "-", "–"]);

export function asCards(root = document) {
  for (const table of root.querySelectorAll("table.rows, table.listing")) {
    const heads = [...table.querySelectorAll("thead th")];
    if (heads.length <= NARROW_ENOUGH && !table.matches(".rows")) continue;
    const words = heads.map((head) => (head.matches(".action-checkbox-column") ? "" : (head.querySelector(".text") ?? head).textContent.trim()));
    table.classList.add("as-cards");
    table.setAttribute("role", "table");
    for (const part of table.querySelectorAll("thead, tbody")) part.setAttribute("role", "rowgroup");
    for (const row of table.rows) {
      row.setAttribute("role", "row");
      const inBody = row.parentElement.tagName === "TBODY";
      if (inBody) {
        const title = row.querySelector("th") ?? [...row.cells].find((cell) => !cell.querySelector("input"));
        title?.setAttribute("data-title", "");
        [...row.cells].find((cell) => cell !== title && cell.querySelector(".badge"))?.setAttribute("data-state", "");
        for (const cell of row.cells) cell.toggleAttribute("data-controls", cell !== title && !cell.matches(".action-checkbox") && Boolean(cell.querySelector("button, input, a.button, a.btn")));
      }
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
