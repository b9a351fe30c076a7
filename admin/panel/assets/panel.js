"use strict";
// The panel is complete without this. It copies, says local times, shows that a
// fetch takes a while, and keeps the list of exchanges up to date.

function localTimes(root) {
  for (const time of root.querySelectorAll("time[datetime]")) {
    const local = new Date(time.dateTime).toLocaleString(undefined, { dateStyle: "medium", timeStyle: "medium" });
    const utc = time.title || time.textContent;
    time.title = utc.endsWith("UTC") ? `${utc}, here ${local}` : `${utc} UTC, here ${local}`;
  }
}

function copyButtons(root) {
  for (const button of root.querySelectorAll("button[data-copy]")) {
    if (!navigator.clipboard) continue;
    button.hidden = false;
    button.addEventListener("click", async () => {
      await navigator.clipboard.writeText(document.getElementById(button.dataset.copy).textContent);
      button.textContent = "Copied";
      setTimeout(() => { button.textContent = "Copy"; }, 2000);
    });
  }
}

function busyButtons(root) {
  for (const form of root.querySelectorAll("form")) {
    form.addEventListener("submit", (event) => {
      const button = event.submitter;
      if (!button || !button.dataset.busy) return;
      button.setAttribute("aria-busy", "true");
      button.textContent = button.dataset.busy;
    });
  }
  for (const select of root.querySelectorAll("select[data-submit]")) {
    const button = select.form.querySelector("button");
    select.addEventListener("change", () => { if (select.value) select.form.requestSubmit(button); });
  }
}

function liveList() {
  const list = document.querySelector("[data-live]");
  if (!list) return;
  setInterval(async () => {
    if (document.hidden || list.contains(document.activeElement)) return;
    try {
      const answer = await fetch(location.href, { headers: { accept: "text/html", "x-cambio-live": "1" } });
      if (!answer.ok || answer.redirected) return;
      const fresh = new DOMParser().parseFromString(await answer.text(), "text/html").querySelector("[data-live] tbody");
      if (!fresh) return;
      list.querySelector("tbody").replaceWith(fresh);
      localTimes(list);
    } catch { /* the next round tries again */ }
  }, 5000);
}

localTimes(document);
copyButtons(document);
busyButtons(document);
liveList();
