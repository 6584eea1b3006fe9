// A chart as a table, for a screen reader and for exact values.

/** Fill a place with the rows; what is read stays where it is, as only the text of the cells changes. */
export function fillTable(place, { head, rows }, caption) {
  let table = place.querySelector("table");
  if (!table || table.tHead.rows[0].cells.length !== head.length) {
    table = document.createElement("table");
    table.createCaption().className = "visually-hidden";
    const first = table.createTHead().insertRow();
    for (let index = 0; index < head.length; index += 1) {
      const cell = document.createElement("th");
      cell.scope = "col";
      first.append(cell);
    }
    table.createTBody();
    place.replaceChildren(table);
  }
  write(table.caption, caption);
  head.forEach((text, index) => write(table.tHead.rows[0].cells[index], text));
  const body = table.tBodies[0];
  while (body.rows.length > rows.length) body.deleteRow(-1);
  rows.forEach((row, number) => {
    const line = body.rows[number] ?? body.insertRow();
    row.forEach((text, index) => write(line.cells[index] ?? line.insertCell(), text));
  });
}

function write(element, text) {
  if (element.textContent !== text) element.textContent = text;
}
