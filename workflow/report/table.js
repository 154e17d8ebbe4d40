// Sorts the table of the summary by a column, and shows the rows that hold some words. No row is lost without it.
"use strict";

// A number as the pages write it: "(2.1 ± 0.4) × 10⁵", "< 0.012 (95 %)", "1.07 misfit", "3 × 1024" by its first. NaN where a
// cell is none, as names that begin with digits are.
function numberIn(text) {
  const plain = (signs) => signs.replace(/[−⁻]/g, "-").replace(/[⁰¹²³⁴-⁹]/g, (sign) => "⁰¹²³⁴⁵⁶⁷⁸⁹".indexOf(sign));
  const found = text.replace(/−/g, "-").match(/^[(<\s]*(-?\d[\d.]*(?:e[-+]?\d+)?)(?=[\s)]|$)/);
  const power = text.match(/×\s10([⁻⁰¹²³⁴-⁹]+)$/);
  return found ? Number(found[1]) * 10 ** (power ? Number(plain(power[1])) : 0) : NaN;
}

// Numbers by size, words by the alphabet; cells without a value last, whatever the direction.
function compare(one, other, direction) {
  const empty = (text) => text === "–" || text === "";
  if (empty(one) || empty(other)) return empty(one) - empty(other);
  const apart = numberIn(one) - numberIn(other);
  return direction * (apart || one.localeCompare(other, undefined, { numeric: true }));
}

for (const table of document.querySelectorAll("table:has(thead)")) {
  const body = table.tBodies[0];
  const rows = Array.from(body.rows);
  const cell = (row, column) => row.cells[column].textContent.trim();

  const finder = document.createElement("input");
  const count = document.createElement("output");
  finder.type = "search";
  finder.placeholder = "rows with these words";
  finder.setAttribute("aria-label", "Show the rows with these words");
  const find = () => {
    const words = finder.value.toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    for (const row of rows) {
      const text = row.textContent.toLowerCase();
      row.hidden = !words.every((word) => text.includes(word));
      shown += !row.hidden;
    }
    count.textContent = ` ${shown} of ${rows.length}`;
  };
  finder.addEventListener("input", find);
  find();
  const line = document.createElement("p");
  line.append(finder, count);
  table.parentElement.before(line);

  Array.from(table.tHead.rows[0].cells).forEach((head, column) => {
    const button = document.createElement("button");
    button.append(...head.childNodes);
    button.title = "Sort by this column";
    head.append(button);
    button.addEventListener("click", () => {
      const direction = head.ariaSort === "ascending" ? -1 : 1;
      for (const other of table.tHead.rows[0].cells) other.ariaSort = null;
      head.ariaSort = direction === 1 ? "ascending" : "descending";
      rows.sort((one, other) => compare(cell(one, column), cell(other, column), direction));
      body.append(...rows);
    });
  });
}
