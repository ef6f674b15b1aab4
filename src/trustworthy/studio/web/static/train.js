// The control panel: each slider and its number box say the same. Without this script there are the boxes alone.
"use strict";
(() => {
  const panel = document.querySelector("[data-panel]");
  if (!panel) return;
  for (const slider of panel.querySelectorAll("[data-slider]")) {
    const box = document.getElementById(slider.dataset.slider);
    const tell = () => slider.setAttribute("aria-valuetext", slider.value + slider.dataset.unit);
    slider.hidden = false;
    slider.addEventListener("input", () => { box.value = slider.value; tell(); });
    box.addEventListener("input", () => { if (box.validity.valid) { slider.value = box.value; tell(); } });
    tell();
  }
  // The estimate follows by itself.
  panel.querySelectorAll("[data-noscript]").forEach((element) => { element.hidden = true; });
})();
