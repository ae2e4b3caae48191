// Lists with tick boxes: one box for the whole page, and how many are selected.

export function offerChoosing(root: ParentNode): void {
  for (const form of root.querySelectorAll<HTMLFormElement>("form[data-choosing]")) {
    const all = form.querySelector<HTMLInputElement>("[data-choose-all]");
    const count = form.querySelector<HTMLElement>("[data-chosen-count]");
    const boxes = [...form.querySelectorAll<HTMLInputElement>('tbody input[type="checkbox"]')];
    if (all === null) continue;
    const tell = (): void => {
      const chosen = boxes.filter((box) => box.checked).length;
      all.checked = chosen === boxes.length;
      all.indeterminate = chosen > 0 && chosen < boxes.length;
      if (count !== null) count.textContent = chosen > 0 ? `(${chosen})` : "";
    };
    all.hidden = false;
    all.addEventListener("change", () => {
      for (const box of boxes) box.checked = all.checked;
      tell();
    });
    for (const box of boxes) box.addEventListener("change", tell);
    tell();
  }
}
