"use strict";

// Tables: a click on a column's title sorts by it, a second one the other way round.
for (const table of document.querySelectorAll("table.sortable")) {
  const titles = [...table.tHead.rows[0].cells];
  titles.forEach((title, column) => {
    const sort = () => {
      const number = title.classList.contains("number");
      const before = title.getAttribute("aria-sort");
      // Numbers are most telling from the largest on.
      const first = number ? "descending" : "ascending";
      const second = number ? "ascending" : "descending";
      const order = before === first ? second : first;
      for (const other of titles) other.setAttribute("aria-sort", "none");
      title.setAttribute("aria-sort", order);
      const key = (row) => row.cells[column].dataset.sort ?? row.cells[column].textContent.trim();
      const body = table.tBodies[0];
      const rows = [...body.rows].sort((a, b) => {
        const [x, y] = [key(a), key(b)];
        const numbers = x !== "" && y !== "" && !isNaN(x) && !isNaN(y);
        const compared = numbers ? x - y : x.localeCompare(y);
        return order === "ascending" ? compared : -compared;
      });
      body.append(...rows);
    };
    title.tabIndex = 0;
    title.addEventListener("click", sort);
    title.addEventListener("keydown", (event) => {
      if (event.key === "Enter" || event.key === " ") {
        event.preventDefault();
        sort();
      }
    });
  });
}

// Flame graphs: a click on a call makes it as wide as the graph.
for (const figure of document.querySelectorAll(".flame")) {
  const calls = [...figure.querySelectorAll(".call")];
  const reset = figure.querySelector(".reset");
  const show = (left, width, depth) => {
    for (const call of calls) {
      const at = Number(call.dataset.left);
      const wide = Number(call.dataset.width);
      const above = Number(call.dataset.depth) < depth;
      const holds = at <= left + 1e-6 && at + wide >= left + width - 1e-6;
      const inside = at >= left - 1e-6 && at + wide <= left + width + 1e-6;
      call.hidden = above ? !holds : !inside;
      call.style.left = above ? "0%" : `${((at - left) / width) * 100}%`;
      call.style.width = above ? "100%" : `${(wide / width) * 100}%`;
      call.classList.toggle("above", above);
    }
    reset.hidden = width > 99.999;
  };
  for (const call of calls) {
    call.addEventListener("click", () =>
      show(Number(call.dataset.left), Number(call.dataset.width), Number(call.dataset.depth)));
  }
  reset.addEventListener("click", () => show(0, 100, 0));
}

// Links to findings open them.
const open = () => {
  const target = location.hash && document.getElementById(location.hash.slice(1));
  if (target instanceof HTMLDetailsElement) {
    target.open = true;
    target.scrollIntoView();
  }
};
addEventListener("hashchange", open);
open();
