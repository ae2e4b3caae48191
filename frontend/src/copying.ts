// Buttons that copy a text; they are hidden where there is no script, or no clipboard.

export function offerCopying(root: ParentNode): void {
  if (!navigator.clipboard) return;
  for (const button of root.querySelectorAll<HTMLButtonElement>("button[data-copy]")) {
    button.hidden = false;
    button.onclick = async () => {
      await navigator.clipboard.writeText(button.dataset.copy ?? "");
      const word = button.textContent;
      button.textContent = document.body.dataset.copied ?? "✓";
      setTimeout(() => (button.textContent = word), 1500);
    };
  }
}
