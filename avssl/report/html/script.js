"use strict";
// Hovering over a chart: the values of all lines nearest to the pointer.
for (const svg of document.querySelectorAll("svg[data-hover]")) {
  const { lines, left, right, width } = JSON.parse(svg.dataset.hover);
  const cursor = svg.querySelector(".cursor");
  let tooltip = null;
  const leave = () => { cursor.style.opacity = 0; if (tooltip) tooltip.remove(); tooltip = null; };
  svg.addEventListener("pointerleave", leave);
  svg.addEventListener("pointermove", event => {
    const box = svg.getBoundingClientRect();
    const at = (event.clientX - box.left) * width / box.width;
    if (at < left - 8 || at > right + 8) return leave();
    let nearest = null;
    for (const line of lines) for (const point of line.points)
      if (!nearest || Math.abs(point[0] - at) < Math.abs(nearest[0] - at)) nearest = point;
    if (!tooltip) { tooltip = document.createElement("div"); tooltip.className = "tooltip"; svg.parentNode.append(tooltip); }
    tooltip.replaceChildren(nearest[2]);
    for (const line of lines) {
      const there = line.points.reduce((a, b) => Math.abs(b[0] - nearest[0]) < Math.abs(a[0] - nearest[0]) ? b : a);
      if (Math.abs(there[0] - nearest[0]) > (right - left) / 30) continue;
      const row = document.createElement("div"), value = document.createElement("b");
      value.textContent = there[3];
      value.className = line.tone;
      row.append(value, " " + line.name);
      tooltip.append(row);
    }
    cursor.setAttribute("x1", nearest[0]);
    cursor.setAttribute("x2", nearest[0]);
    cursor.style.opacity = 1;
    const x = nearest[0] * box.width / width;
    tooltip.style.left = x < box.width / 2 ? `${x + 10}px` : "";
    tooltip.style.right = x < box.width / 2 ? "" : `${box.width - x + 10}px`;
  });
}
// A press on a picture shows it as large as it is.
document.addEventListener("click", event => {
  const button = event.target.closest(".zoom");
  if (!button) return;
  const dialog = document.createElement("dialog"), image = document.createElement("img");
  image.src = button.firstElementChild.src;
  image.alt = button.firstElementChild.alt;
  dialog.append(image);
  dialog.addEventListener("click", () => dialog.close());
  dialog.addEventListener("close", () => dialog.remove());
  document.body.append(dialog);
  dialog.showModal();
});
// What is folded away is printed, too.
addEventListener("beforeprint", () => {
  for (const fold of document.querySelectorAll("details:not([open])")) { fold.open = true; fold.dataset.folded = ""; }
});
addEventListener("afterprint", () => {
  for (const fold of document.querySelectorAll("details[data-folded]")) { fold.open = false; delete fold.dataset.folded; }
});
