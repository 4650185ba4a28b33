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

// A form that asks for a time zone proposes the browser's, where it is one of those that there are.
for (const select of document.querySelectorAll("select[data-browser-zone]")) {
  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
  if ([...select.options].some((option) => option.value === zone)) select.value = zone;
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

// An export arrives as a stream: its rows are counted on the way to the file.
async function download(form, button) {
  const address = new URL(form.action);
  address.search = new URLSearchParams(new FormData(form, button));
  const [bar, text, cancel] = form.querySelector(".progress").children;
  const stop = new AbortController();
  cancel.onclick = () => stop.abort();
  form.dataset.busy = "1";
  bar.parentElement.hidden = false;
  bar.removeAttribute("value");
  text.textContent = "Counting…";
  try {
    const answer = await fetch(address, { signal: stop.signal, headers: { Accept: "application/json" } });
    if (!answer.ok) throw new Error((await answer.json()).detail);
    const total = Number(answer.headers.get("X-Total-Estimate"));
    const file = await counted(answer, total, button.value, bar, text).blob();
    const link = document.createElement("a");
    link.href = URL.createObjectURL(file);
    link.download = /filename="([^"]+)"/.exec(answer.headers.get("Content-Disposition"))[1];
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 60000);
    bar.value = bar.max;
    text.textContent = `Done: ${link.download}, ${size(file.size)}`;
  } catch (error) {
    bar.value = 0;
    text.textContent = stop.signal.aborted ? "Cancelled." : `The export failed: ${error.message}. Try again.`;
  }
  delete form.dataset.busy;
  say(text.textContent);
}

// The body again, telling the bar how many rows have passed; Parquet has no lines to count, so its bytes are told.
function counted(answer, total, format, bar, text) {
  const hasLines = format !== "parquet";
  let rows = format === "csv" ? -1 : 0, bytes = 0, shownAt = 0;
  bar.max = Math.max(total, 1);
  const count = new TransformStream({
    transform(chunk, out) {
      bytes += chunk.length;
      if (hasLines) for (const byte of chunk) if (byte === 10) rows += 1;
      if (performance.now() - shownAt > 100) {
        shownAt = performance.now();
        if (hasLines) bar.value = Math.max(rows, 0);
        const far = hasLines ? `${Math.max(rows, 0).toLocaleString("en")} of about ${total.toLocaleString("en")} rows, ` : "";
        text.textContent = far + size(bytes);
      }
      out.enqueue(chunk);
    },
  });
  return new Response(answer.body.pipeThrough(count), { headers: { "Content-Type": answer.headers.get("Content-Type") } });
}

function size(bytes) {
  return bytes < 1e6 ? `${Math.ceil(bytes / 1e3)} kB` : `${(bytes / 1e6).toFixed(1)} MB`;
}

document.addEventListener("submit", (event) => {
  if (!("download" in event.target.dataset) || !event.submitter) return;
  event.preventDefault();
  if (!event.target.dataset.busy) download(event.target, event.submitter);
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

// A filter or a refreshing part that fails says so where everybody sees it, and can be tried again.
function showFailure(event) {
  const toast = document.getElementById("failed");
  if (!toast) return;
  const { requestConfig, xhr } = event.detail;
  const elt = requestConfig.elt;
  const isRefresh = "X-Poll" in requestConfig.headers;
  const isSignedOut = xhr && xhr.status === 401;
  const [text, link, button] = toast.children;
  text.textContent = isSignedOut
    ? "You are signed out, and this page is no longer up to date. What you have typed is still here."
    : isRefresh
      ? "This page could not be refreshed: it shows what was true a while ago."
      : "This could not be loaded. What you see is from before your last choice.";
  link.hidden = !isSignedOut;
  link.href = `/sign-in?next=${encodeURIComponent(location.pathname)}`;
  button.onclick = () => htmx.trigger(elt.isConnected ? elt : document.getElementById(elt.id), "retry");
  toast.dataset.by = elt.id;
  toast.hidden = false;
}
for (const event of ["htmx:sendError", "htmx:responseError", "htmx:timeout"]) {
  document.addEventListener(event, showFailure);
}
document.addEventListener("htmx:afterRequest", (event) => {
  const toast = document.getElementById("failed");
  const { successful, requestConfig } = event.detail;
  if (toast && successful && toast.dataset.by === requestConfig.elt.id) toast.hidden = true;
});

// Menus and questions close as people expect: by Escape, and menus by a press elsewhere.
document.addEventListener("keydown", (event) => {
  const open = event.key === "Escape" && (event.target.closest("details[open]:is(.account, .confirm)") || document.querySelector("details.account[open]"));
  if (!open) return;
  open.open = false;
  open.querySelector("summary").focus();
});
document.addEventListener("click", (event) => {
  for (const menu of document.querySelectorAll("details.account[open], .title details.confirm[open]")) {
    if (!menu.contains(event.target)) menu.open = false;
  }
});

prepare(document);
