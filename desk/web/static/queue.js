// Keeps an open queue up to date. A row that is on the page changes where it stands; nothing moves. Rows that are not on
// it wait behind "3 new", and come when they are asked for. Without this file the page is what it was when it was made.
"use strict";
(() => {
  const list = document.querySelector("[data-live]");
  if (!list) return;
  const said = document.getElementById("news");
  const show = document.getElementById("show-news");
  const link = document.getElementById("link");
  const waiting = new Set();
  sessionStorage.setItem("queue", location.pathname + location.search);

  const rowOf = (id) => list.querySelector(`tr[data-clue="${CSS.escape(id)}"]`);

  const tell = (everything) => {
    const count = waiting.size;
    said.textContent = everything ? list.dataset.many : count ? list.dataset.new.replace("{}", count) : "";
    show.hidden = !everything && !count;
  };

  const changed = ({ rows, gone }) => {
    for (const { id, html, out } of rows) {
      const row = rowOf(id);
      if (row) {
        const made = document.createElement("template");
        made.innerHTML = html.trim();
        const fresh = made.content.firstElementChild;
        const at = [...row.querySelectorAll("a, input")].indexOf(document.activeElement);
        const chosen = row.querySelector("input:checked");
        row.replaceChildren(...fresh.children);
        row.classList.toggle("out", Boolean(out));
        if (chosen) row.querySelector("input").checked = true;
        if (at >= 0) row.querySelectorAll("a, input")[at]?.focus({ preventScroll: true });
      } else if (out) {
        waiting.delete(id);
      } else {
        waiting.add(id);
      }
    }
    for (const id of gone) {
      waiting.delete(id);
      const row = rowOf(id);
      if (row) {
        row.classList.add("out");
        for (const each of row.querySelectorAll("a, input")) each.replaceWith(each.textContent);
      }
    }
    tell(false);
  };

  const stream = new EventSource(list.dataset.live);
  stream.addEventListener("rows", (event) => changed(JSON.parse(event.data)));
  stream.addEventListener("reload", () => {
    stream.close();
    tell(true);
  });
  stream.addEventListener("ended", () => {  // logged out, or other roles: what stands here is no longer for who sits here
    stream.close();
    location.reload();
  });
  stream.addEventListener("open", () => { link.textContent = ""; });
  stream.addEventListener("error", () => {
    link.textContent = stream.readyState === EventSource.CLOSED ? list.dataset.ended : list.dataset.lost;
  });

  show.addEventListener("click", () => {
    sessionStorage.setItem("new", JSON.stringify([...waiting]));
    location.reload();
  });
  const last = JSON.parse(sessionStorage.getItem("new") ?? "[]");
  sessionStorage.removeItem("new");
  const rows = last.map(rowOf).filter(Boolean);
  for (const row of rows) row.classList.add("new");
  list.querySelector("tr.new a")?.focus();
})();
