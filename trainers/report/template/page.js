"use strict";
const wipe = document.getElementById("wipe");
if (wipe) {
  const slider = document.getElementById("slider");
  const left = document.getElementById("left");
  const right = document.getElementById("right");
  const pictures = [...wipe.querySelectorAll("img")];
  const labels = pictures.map((picture) => picture.dataset.label);
  // Of one run before and after; of several the ends of the first and of the last.
  const first = labels.findIndex((label) => label === "before" || label.endsWith(": after"));
  left.value = Math.max(first, 0);
  right.value = pictures.length - 1;

  function show() {
    const share = Number(slider.value);
    pictures.forEach((picture, index) => {
      const over = index === Number(left.value);
      picture.hidden = !over && index !== Number(right.value);
      picture.classList.toggle("over", over);
      picture.style.clipPath = over ? `inset(0 ${100 - share}% 0 0)` : "";
    });
    wipe.style.setProperty("--share", share + "%");
  }

  function drag(event) {
    const box = wipe.getBoundingClientRect();
    slider.value = ((event.clientX - box.left) / box.width) * 100;
    show();
  }

  for (const control of [slider, left, right]) control.addEventListener("input", show);
  wipe.addEventListener("pointerdown", (event) => {
    event.preventDefault();
    wipe.setPointerCapture(event.pointerId);
    drag(event);
  });
  wipe.addEventListener("pointermove", (event) => {
    if (wipe.hasPointerCapture(event.pointerId)) drag(event);
  });
  show();
}
