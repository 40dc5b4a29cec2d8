// Time goes on: what is left of a deadline is said anew every quarter of a minute, by the server's clock.
"use strict";
(() => {
  const words = document.body.dataset;
  const ahead = words.now - Date.now();
  const fill = (text, ...values) => values.reduce((said, value) => said.replace("{}", value), text);
  const span = (ms) => {
    const minutes = Math.floor(Math.abs(ms) / 60_000);
    if (minutes < 120) return fill(words.min, minutes);
    return minutes < 2_880 ? fill(words.hours, Math.floor(minutes / 60)) : fill(words.days, Math.floor(minutes / 1_440));
  };
  setInterval(() => {
    const now = Date.now() + ahead;
    for (const each of document.querySelectorAll("[data-by]")) {
      const { by, soon, step } = each.dataset;
      each.className = now >= by ? "late" : now >= soon ? "soon" : "calm";
      each.textContent = fill(now >= by ? words.late : words.left, step, span(by - now));
    }
  }, 15_000);
})();
