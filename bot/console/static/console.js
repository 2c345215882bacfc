// Keys press what is on the page: an element with data-key="u" is pressed by u. Nothing here does what the page cannot.
// A button is armed by the first press and pressed by the second; data-now: at once. j and k walk the rows, o opens one.
"use strict";
(() => {
  const FIELD = "input, textarea, select, [contenteditable]";
  let armed = null;

  const shown = (element) => !element.disabled && element.getClientRects().length > 0;
  const all = (selector) => [...document.querySelectorAll(selector)].filter(shown);

  function arm(button) {
    const says = document.getElementById("armed");
    armed?.classList.remove("armed");
    armed = button;
    button?.classList.add("armed");
    button?.focus();
    if (says) says.textContent = button?.dataset.armed ?? "";
  }

  function press(element) {
    if (element.matches("details")) {
      element.open = !element.open;
      element.querySelector("summary").focus();
    } else if (element.matches("button") && !("now" in element.dataset)) {
      if (armed !== element) return arm(element);
      element.click();
    } else if (element.matches(FIELD) && !element.matches("[type=checkbox], [type=radio]")) {
      element.focus();
    } else {
      element.click();
    }
    arm(null);
  }

  function walk(step) {
    const rows = all("[data-row]");
    const focused = rows.indexOf(document.activeElement);
    const at = focused < 0 ? rows.findIndex((row) => row.ariaCurrent) : focused;
    rows[Math.min(Math.max(at + step, 0), rows.length - 1)]?.focus();
  }

  function open() {
    const rows = all("[data-row]");
    (rows.find((row) => row === document.activeElement) ?? rows.find((row) => row.ariaCurrent) ?? rows[0])?.click();
  }

  function leave() {
    arm(null);
    document.querySelectorAll("details[data-key][open]").forEach((each) => { each.open = false; });
    document.activeElement?.blur();
  }

  const walks = { j: () => walk(1), k: () => walk(-1), o: open, Escape: leave };

  addEventListener("keydown", (event) => {
    const { key, target } = event;
    if (event.repeat || event.isComposing || event.ctrlKey || event.altKey || event.metaKey) return;
    if (target instanceof Element && target.matches(FIELD) && key !== "Escape"
      && !target.matches("[type=checkbox], [type=radio]")) return;
    const found = all("[data-key]").find((each) => each.dataset.key === key);
    if (!found && !(key in walks)) return key === "Enter" || key === "Tab" || key === " " ? undefined : arm(null);
    event.preventDefault();
    if (found) press(found);
    else { if (key !== "Escape") arm(null); walks[key](); }
  });
  addEventListener("pointerdown", () => arm(null));
  addEventListener("pageshow", () => arm(null));
})();
