// What a browser with scripts gets on top of pages that work without: copying, `/`, confirmation, announcements.
"use strict";

document.documentElement.classList.add("scripted");

function say(text) {
  const status = document.getElementById("said");
  if (status) status.textContent = text;
}

function prepare(root) {
  for (const button of root.querySelectorAll("button[data-copy]")) button.hidden = false;
  for (const input of root.querySelectorAll("input[data-confirm]")) {
    const button = input.form.querySelector("button");
    const compare = () => { button.disabled = input.value.trim() !== input.form.elements.confirmName.value; };
    input.addEventListener("input", compare);
    compare();
  }
}

async function copy(button) {
  const source = document.getElementById(button.dataset.copy);
  try {
    await navigator.clipboard.writeText(source.textContent);
  } catch {
    getSelection().selectAllChildren(source);
    say("Selected; press Ctrl+C to copy");
    return;
  }
  const label = button.querySelector("span");
  label.textContent = "Copied";
  button.classList.add("done");
  say(button.dataset.said);
  setTimeout(() => { label.textContent = "Copy"; button.classList.remove("done"); }, 2000);
}

document.addEventListener("click", (event) => {
  const button = event.target.closest("button[data-copy]");
  if (button) copy(button);
});

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, textarea, select")) return;
  const target = document.querySelector(`[data-shortcut="${CSS.escape(event.key)}"]`);
  if (!target) return;
  event.preventDefault();
  target.focus();
  target.select();
});

// One press a form: a second while the first travels would do it twice.
document.addEventListener("submit", (event) => {
  if (event.target.method !== "post") return;
  if (event.target.dataset.sent) event.preventDefault();
  event.target.dataset.sent = "1";
});
addEventListener("pageshow", () => {
  for (const form of document.forms) delete form.dataset.sent;
});

document.addEventListener("htmx:configRequest", (event) => {
  const { parameters } = event.detail;
  for (const name of Object.keys(parameters)) if (parameters[name] === "") delete parameters[name];
});

document.addEventListener("htmx:afterSettle", () => {
  prepare(document);
  const said = document.querySelector("[data-announce]");
  if (said) say(said.dataset.announce);
});

for (const event of ["htmx:sendError", "htmx:responseError"]) {
  document.addEventListener(event, () => say("This could not be loaded. Try again, or load the page again."));
}

prepare(document);
