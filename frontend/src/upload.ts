// An upload with its progress. Without scripts the browser sends the form as it is.

export function showUploads(root: ParentNode): void {
  for (const form of root.querySelectorAll<HTMLFormElement>("form[data-upload]")) {
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      send(form);
    });
  }
}

function send(form: HTMLFormElement): void {
  const bar = document.createElement("progress");
  bar.max = 1;
  bar.setAttribute("aria-label", form.dataset.upload ?? "");
  form.append(bar);
  for (const button of form.querySelectorAll("button")) button.disabled = true;
  const request = new XMLHttpRequest();
  request.open("POST", form.action);
  request.setRequestHeader("Accept", "text/html");
  request.upload.addEventListener("progress", (event) => {
    if (event.lengthComputable) bar.value = event.loaded / event.total;
  });
  request.addEventListener("load", () => show(request, form));
  // The network is gone: let the browser say so in its own words.
  request.addEventListener("error", () => form.submit());
  request.send(new FormData(form));
}

function show(request: XMLHttpRequest, form: HTMLFormElement): void {
  if (request.status < 400 && request.responseURL !== form.action) {
    location.assign(request.responseURL);
    return;
  }
  const answer = new DOMParser().parseFromString(request.responseText, "text/html");
  const main = answer.querySelector("main");
  if (main === null) {
    form.submit();
    return;
  }
  document.querySelector("main")?.replaceWith(main);
  showUploads(document);
}
