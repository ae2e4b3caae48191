// A form that must not be sent twice, or whose answer may take long: its button rests once it was
// pressed, and shows that something is under way.

export function sendOnce(root: ParentNode): void {
  for (const form of root.querySelectorAll<HTMLFormElement>("form[data-once]")) {
    const buttons = form.querySelectorAll("button");
    form.addEventListener("submit", () => rest(buttons, true));
    // Whoever comes back to the page finds it as it was left.
    window.addEventListener("pageshow", (event) => {
      if (event.persisted) rest(buttons, false);
    });
  }
}

function rest(buttons: Iterable<HTMLButtonElement>, resting: boolean): void {
  for (const button of buttons) {
    button.disabled = resting;
    button.ariaBusy = String(resting);
  }
}
