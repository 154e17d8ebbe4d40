// Sorts the table of the summary by a column, and shows the rows that hold some words. No row is lost without it.
"use strict";

// A number as the pages write it: "(2.1 ± 0.4) × 10⁵", "< 0.012 (95 %)", "11 × 100". NaN where a cell holds none.
function numberIn(text) {
  const digits = "⁰¹²³⁴⁵⁶⁷⁸⁹";
  const plain = text.replace(/−/g, "-").replace(/⁻/g, "-").replace(/[⁰¹²³⁴-⁹]/g, (sign) => digits.indexOf(sign));
  const found = plain.match(/^[(<\s]*(-?\d[\d.]*)/);
  const power = plain.match(/× 10(-?\d+)$/);
  return found ? Number(found[1]) * 10 ** (power ? Number(power[1]) : 0) : NaN;
}

// Numbers by size, words by the alphabet; cells without a value last, whatever the direction.
function compare(one, other, direction) {
  const empty = (text) => text === "–" || text === "";
  if (empty(one) || empty(other)) return empty(one) - empty(other);
  const [a, b] = [numberIn(one), numberIn(other)];
  if (Number.isNaN(a) || Number.isNaN(b)) return direction * one.localeCompare(other, undefined, { numeric: true });
  return direction * (a - b);
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
