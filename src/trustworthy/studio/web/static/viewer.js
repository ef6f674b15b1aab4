// The viewer: all pictures of an image move and zoom together; contrast, planes, mask, and prediction against target.
// Without this script the page shows the pictures side by side.
"use strict";
(() => {
  const viewer = document.querySelector("[data-viewer]");
  if (!viewer) return;
  const LARGEST = 64; // times the whole image
  const view = { x: 0.5, y: 0.5, zoom: 1 }; // the centre of what is seen, in shares of the image
  const status = viewer.querySelector("[data-status]");
  const group = viewer.querySelector("[data-panels]");
  const divider = viewer.querySelector("[data-divider]");
  const masked = viewer.querySelector("[data-masked]");
  const planes = viewer.querySelector("[data-planes]");
  const share = (value, low, high) => Math.min(Math.max(value, low), high);
  let cursor = null; // where the pointer is, in shares of the image
  let overlay = null; // the mask, coloured
  let waiting = false;
  let asked = 0;

  const panels = [...viewer.querySelectorAll("[data-role]")].map((figure) => {
    const canvas = document.createElement("canvas");
    const picture = figure.querySelector("img");
    canvas.setAttribute("role", "img");
    canvas.setAttribute("aria-label", picture ? picture.alt : figure.dataset.label);
    if (picture) picture.replaceWith(canvas);
    else figure.querySelector("figcaption").after(canvas);
    const panel = {
      figure, canvas, role: figure.dataset.role, pixels: null, coloured: document.createElement("canvas"),
      low: Number(figure.dataset.low), high: Number(figure.dataset.high), scale: scaleOf(figure),
      value: figure.querySelector("[data-value]"),
      black: figure.querySelector("[data-black]"), white: figure.querySelector("[data-white]"),
    };
    figure.hidden = panel.role === "mask";
    return panel;
  });
  const of = (role) => panels.find((panel) => panel.role === role);
  const compared = of("compare");
  const [left, right] = compared ? compared.figure.dataset.compared.split(" ").map(of) : [];
  viewer.querySelectorAll("[data-script]").forEach((element) => { element.hidden = false; });
  viewer.querySelectorAll("[data-noscript]").forEach((element) => { element.hidden = true; });

  // --- colours -------------------------------------------------------------------------------------------------------
  function scaleOf(figure) { // 256 colours, from the legend that the page has drawn
    const stops = [...figure.querySelectorAll("stop")].map((stop) => stop.getAttribute("stop-color"));
    if (!stops.length) return null;
    const colours = stops.map((text) => [1, 3, 5].map((at) => parseInt(text.slice(at, at + 2), 16)));
    return Array.from({ length: 256 }, (_, value) => {
      const at = (value / 255) * (colours.length - 1);
      const first = Math.min(Math.floor(at), colours.length - 2);
      return [0, 1, 2].map((c) => colours[first][c] + (at - first) * (colours[first + 1][c] - colours[first][c]));
    });
  }

  function colour(panel) { // the picture with its contrast
    if (!panel.pixels || !panel.black) return;
    const low = Number(panel.black.value);
    const width = Math.max(Number(panel.white.value) - low, 0.5);
    const table = new Uint8ClampedArray(768);
    for (let value = 0; value < 256; value += 1) {
      const shown = Math.round(255 * share((value - low) / width, 0, 1));
      for (let c = 0; c < 3; c += 1) table[3 * value + c] = panel.scale ? panel.scale[shown][c] : shown;
    }
    const { data } = panel.pixels;
    const image = new ImageData(panel.pixels.width, panel.pixels.height);
    for (let i = 0; i < data.length; i += 4) {
      for (let c = 0; c < 3; c += 1) image.data[i + c] = table[3 * data[i + c] + c];
      image.data[i + 3] = 255;
    }
    keep(panel, image);
  }

  function keep(panel, image) {
    Object.assign(panel.coloured, { width: image.width, height: image.height });
    panel.coloured.getContext("2d").putImageData(image, 0, 0);
  }

  function paintMask(panel) { // what is not to be trusted, in stripes that no stain has
    const { data, width, height } = panel.pixels;
    const stripe = Math.max(2, Math.round(width / 128));
    const image = new ImageData(width, height);
    for (let i = 0; i < data.length; i += 4) {
      if (data[i] < 128) continue;
      const dark = Math.floor(((i / 4) % width + Math.floor(i / 4 / width)) / stripe) % 2;
      image.data.set([255, 0, 170, dark ? 150 : 40], i);
    }
    keep(panel, image);
    overlay = panel.coloured;
  }

  const inUnits = (panel, value) => panel.low + (value / 255) * (panel.high - panel.low);
  const written = (value) => Number(value.toPrecision(4)).toLocaleString(undefined, { maximumSignificantDigits: 4 });

  function tellContrast(panel) {
    if (!panel.black) return;
    for (const [end, slider] of [["low", panel.black], ["high", panel.white]]) {
      const told = written(inUnits(panel, Number(slider.value)));
      slider.setAttribute("aria-valuetext", `${told} ${viewer.dataset.unit}`);
      panel.figure.querySelectorAll(`[data-${end}-told]`).forEach((element) => { element.textContent = told; });
    }
  }

  function setContrast(panel, moved) {
    const gap = Number(panel.white.value) - Number(panel.black.value);
    if (gap < 1 && moved === panel.black) panel.white.value = Number(panel.black.value) + 1;
    if (gap < 1 && moved === panel.white) panel.black.value = Number(panel.white.value) - 1;
    tellContrast(panel);
    colour(panel);
    draw();
  }

  // Prediction and target are only comparable where one grey means one number: their contrast moves together.
  function contrast(panel, moved) {
    setContrast(panel, moved);
    const other = { target: "prediction", prediction: "target" }[panel.role];
    const twin = other && of(other);
    if (!twin || !twin.black) return;
    const span = twin.high - twin.low || 1;
    for (const end of ["black", "white"]) {
      twin[end].value = Math.round((255 * (inUnits(panel, Number(panel[end].value)) - twin.low)) / span);
    }
    setContrast(twin, null);
  }

  // --- drawing -------------------------------------------------------------------------------------------------------
  function draw() {
    if (waiting) return;
    waiting = true;
    requestAnimationFrame(() => {
      waiting = false;
      panels.forEach(drawPanel);
    });
  }

  function drawPanel(panel) {
    const { canvas } = panel;
    const dense = window.devicePixelRatio || 1;
    const width = Math.round(canvas.clientWidth * dense);
    const height = Math.round(canvas.clientHeight * dense);
    if (!width || !height) return;
    if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
    const pen = canvas.getContext("2d");
    pen.clearRect(0, 0, width, height);
    const box = [width * (0.5 - view.x * view.zoom), height * (0.5 - view.y * view.zoom), width * view.zoom, height * view.zoom];
    const put = (picture) => {
      pen.imageSmoothingEnabled = box[2] < 2 * picture.width; // pixels are to be seen as such
      pen.drawImage(picture, ...box);
    };
    if (panel === compared) drawBoth(pen, put, box, width, height, dense);
    else if (panel.pixels) put(panel.coloured);
    if (overlay && masked.checked && ["prediction", "compare"].includes(panel.role)) put(overlay);
    if (cursor) drawCross(pen, box[0] + cursor.x * box[2], box[1] + cursor.y * box[3], dense);
  }

  function drawBoth(pen, put, box, width, height, dense) {
    const edge = (Number(divider.value) / 100) * width;
    for (const [panel, from, to] of [[left, 0, edge], [right, edge, width]]) {
      if (!panel.pixels) continue;
      pen.save();
      pen.beginPath();
      pen.rect(from, 0, to - from, height);
      pen.clip();
      put(panel.coloured);
      pen.restore();
    }
    pen.fillStyle = "#ffb000";
    pen.fillRect(edge - dense, 0, 2 * dense, height);
  }

  function drawCross(pen, x, y, dense) {
    for (const [colourOfLine, thick] of [["#000a", 3], ["#fff", 1]]) {
      pen.strokeStyle = colourOfLine;
      pen.lineWidth = thick * dense;
      pen.beginPath();
      for (const [dx, dy] of [[1, 0], [-1, 0], [0, 1], [0, -1]]) {
        pen.moveTo(x + 4 * dense * dx, y + 4 * dense * dy);
        pen.lineTo(x + 12 * dense * dx, y + 12 * dense * dy);
      }
      pen.stroke();
    }
  }

  function tellValues() {
    for (const panel of panels) {
      if (!panel.value || !panel.pixels) continue;
      if (!cursor) { panel.value.textContent = ""; continue; }
      const { data, width, height } = panel.pixels;
      const at = 4 * (Math.min(Math.floor(cursor.y * height), height - 1) * width + Math.min(Math.floor(cursor.x * width), width - 1));
      panel.value.textContent = `about ${written(inUnits(panel, data[at]))}`;
    }
  }

  // --- moving --------------------------------------------------------------------------------------------------------
  function move(x, y, zoom = view.zoom) {
    if (zoom !== view.zoom) status.textContent = `Zoom ${written(share(zoom, 1, LARGEST))} times`;
    view.zoom = share(zoom, 1, LARGEST);
    view.x = share(x, 0.5 / view.zoom, 1 - 0.5 / view.zoom);
    view.y = share(y, 0.5 / view.zoom, 1 - 0.5 / view.zoom);
    group.classList.toggle("zoomed", view.zoom > 1); // a finger then moves the images, not the page
    draw();
  }

  function zoomAt(point, factor) { // what is under the point stays there
    const zoom = share(view.zoom * factor, 1, LARGEST);
    const kept = view.zoom / zoom;
    move(point.x + (view.x - point.x) * kept, point.y + (view.y - point.y) * kept, zoom);
  }

  function pointOf(canvas, event) { // in shares of the image
    const frame = canvas.getBoundingClientRect();
    return {
      x: view.x + ((event.clientX - frame.left) / frame.width - 0.5) / view.zoom,
      y: view.y + ((event.clientY - frame.top) / frame.height - 0.5) / view.zoom,
    };
  }

  function follow(canvas) {
    const down = new Map(); // fingers and buttons on this picture
    const spread = () => {
      const [a, b] = [...down.values()];
      return Math.hypot(a.clientX - b.clientX, a.clientY - b.clientY);
    };
    canvas.addEventListener("pointerdown", (event) => {
      canvas.setPointerCapture(event.pointerId);
      down.set(event.pointerId, event);
    });
    canvas.addEventListener("pointermove", (event) => {
      const before = down.get(event.pointerId);
      if (before && down.size === 1) {
        const frame = canvas.getBoundingClientRect();
        move(
          view.x - (event.clientX - before.clientX) / frame.width / view.zoom,
          view.y - (event.clientY - before.clientY) / frame.height / view.zoom,
        );
        down.set(event.pointerId, event);
      } else if (before && down.size === 2) {
        const wide = spread();
        down.set(event.pointerId, event);
        zoomAt(pointOf(canvas, event), spread() / Math.max(wide, 1));
      }
      const point = pointOf(canvas, event);
      cursor = Math.min(point.x, point.y) >= 0 && Math.max(point.x, point.y) <= 1 ? point : null;
      tellValues();
      draw();
    });
    for (const name of ["pointerup", "pointercancel"]) canvas.addEventListener(name, (event) => down.delete(event.pointerId));
    canvas.addEventListener("pointerleave", () => { cursor = null; tellValues(); draw(); });
    canvas.addEventListener("dblclick", (event) => zoomAt(pointOf(canvas, event), 2));
    canvas.addEventListener("wheel", (event) => {
      event.preventDefault();
      zoomAt(pointOf(canvas, event), Math.exp(-event.deltaY * (event.deltaMode ? 0.05 : 0.002)));
    }, { passive: false });
  }

  const steps = {
    "+": () => zoomAt(view, 1.5), "=": () => zoomAt(view, 1.5), "-": () => zoomAt(view, 1 / 1.5), 0: () => move(0.5, 0.5, 1),
    ArrowLeft: () => move(view.x - 0.1 / view.zoom, view.y), ArrowRight: () => move(view.x + 0.1 / view.zoom, view.y),
    ArrowUp: () => move(view.x, view.y - 0.1 / view.zoom), ArrowDown: () => move(view.x, view.y + 0.1 / view.zoom),
  };
  group.addEventListener("keydown", (event) => {
    if (event.target !== group || event.ctrlKey || event.metaKey || event.altKey || !steps[event.key]) return;
    event.preventDefault();
    steps[event.key]();
  });
  viewer.querySelectorAll("[data-step]").forEach((button) => {
    button.addEventListener("click", steps[button.dataset.step]);
  });

  // --- planes --------------------------------------------------------------------------------------------------------
  async function pixelsOf(panel, plane) {
    const picture = new Image();
    picture.src = `${viewer.dataset.folder}/${plane}/${panel.role}.png?grey=1`;
    await picture.decode();
    const { naturalWidth: width, naturalHeight: height } = picture;
    const pen = Object.assign(document.createElement("canvas"), { width, height }).getContext("2d");
    pen.drawImage(picture, 0, 0);
    return pen.getImageData(0, 0, width, height);
  }

  async function show(plane) {
    const mine = (asked += 1);
    status.textContent = "Loading …";
    const shown = panels.filter((panel) => panel !== compared);
    const loaded = await Promise.all(shown.map((panel) => pixelsOf(panel, plane))).catch(() => null);
    if (mine !== asked) return; // another plane was asked for meanwhile
    if (!loaded) {
      status.textContent = "The pictures could not be loaded; load the page anew.";
      return;
    }
    shown.forEach((panel, i) => {
      panel.pixels = loaded[i];
      if (panel.role === "mask") paintMask(panel);
      else colour(panel);
    });
    const { width, height } = loaded[0];
    panels.forEach(({ canvas }) => { canvas.style.aspectRatio = `${width} / ${height}`; });
    status.textContent = planes ? `Plane ${plane + 1} of ${planes.max}` : "";
    draw();
  }

  for (const panel of panels) {
    follow(panel.canvas);
    if (panel.black) {
      for (const slider of [panel.black, panel.white]) slider.addEventListener("input", () => contrast(panel, slider));
      tellContrast(panel);
    }
  }
  if (divider) {
    const tell = () => { divider.setAttribute("aria-valuetext", `${divider.value} % ${left.role}`); draw(); };
    divider.addEventListener("input", tell);
    tell();
  }
  if (masked) masked.addEventListener("change", draw);
  if (planes) {
    planes.addEventListener("input", () => {
      planes.setAttribute("aria-valuetext", `Plane ${planes.value} of ${planes.max}`);
      show(Number(planes.value) - 1);
    });
  }
  new ResizeObserver(draw).observe(group);
  show(Number(viewer.dataset.plane));
})();
