// The drawing page: strokes in, and what the network makes of them out, live.
"use strict";

const network = JSON.parse(document.getElementById("network").textContent);
const inside = network.layers && { ...network, layers: decoded(network.layers) };
const [pad, how, undo, clear, verdict, bars, spoken, seen, saliency, of, layers] =
  ["pad", "how", "undo", "clear", "verdict", "bars", "spoken", "seen", "saliency", "of", "layers"].map(
    (id) => document.getElementById(id));

const strokes = []; // lists of points [x, y]; the pad is 1 × 1
let chosen = null; // the class whose pixels are asked for, if it is not the likeliest one
let pen = null; // where the keys have taken the pen
let down = false; // do the keys draw?
let shown = null; // the pixels and the answer that are on the screen

// ---- the network -----------------------------------------------------------------------------

async function look(pixels, digit) {
  if (inside) return looked(inside, pixels, digit);
  const body = JSON.stringify({ pixels: Array.from(pixels), digit });
  const answer = await fetch("look", { method: "POST", body });
  if (!answer.ok) throw new Error(await answer.text());
  return answer.json();
}

let asking = false, changed = false;

// One question at a time; what was drawn meanwhile is the next one.
async function refresh() {
  changed = true;
  if (asking) return;
  asking = true;
  while (changed) {
    changed = false;
    const pixels = picture(strokes), digit = chosen;
    try {
      show(pixels, strokes.length ? await look(pixels, digit) : null);
    } catch (error) {
      show(pixels, null);
      say(`<span></span>`, true);
      verdict.firstChild.textContent = `No answer from the program that serves this page (${error.message}). Is it still running?`;
    }
  }
  asking = false;
}

// ---- what is shown -----------------------------------------------------------------------------

function show(pixels, answer) {
  shown = { pixels, ...answer };
  how.hidden = strokes.length > 0 || pen !== null;
  undo.disabled = clear.disabled = !strokes.length;
  showBars(answer);
  paint();
  for (const [k, layer] of (answer?.hidden ?? []).entries()) showLayer(k, layer);
  if (!answer) layers.replaceChildren();
}

function showBars(answer) {
  const best = answer ? answer.probabilities.indexOf(Math.max(...answer.probabilities)) : null;
  [...bars.children].forEach((bar, k) => {
    const share = answer ? answer.probabilities[k] : 0;
    bar.style.setProperty("--share", share);
    bar.classList.toggle("first", k === best);
    bar.setAttribute("aria-pressed", answer !== null && k === answer.of);
    bar.disabled = !answer;
    bar.lastChild.textContent = answer ? percent(share) : "";
  });
  if (!answer) {
    say("<span>nothing yet</span>", true);
    of.textContent = "the gradient of the answer by each pixel";
    return;
  }
  const [name, about] = [network.classes[best], answer.probabilities[best]];
  say(`<strong></strong><span>${percent(about)}${about < 0.6 ? ": not sure" : ""}</span>`, name.length > 2);
  verdict.firstChild.textContent = name;
  of.innerHTML =
    'more ink speaks <b class="for">for</b> or <b class="against">against</b> <span></span>: the gradient';
  of.lastElementChild.textContent = network.classes[answer.of];
}

let pause;

// On the screen at once, for a screen reader when the drawing rests.
function say(html, words) {
  verdict.innerHTML = html;
  verdict.classList.toggle("words", words);
  clearTimeout(pause);
  pause = setTimeout(() => (spoken.textContent = verdict.innerText), 700);
}

function percent(share) {
  const number = 100 * share;
  return `${number.toFixed(number > 99 && number < 99.995 ? 2 : 1)} %`;
}

function colour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).split(",").map(Number);
}

function mixed(from, to, share) {
  return from.map((c, k) => c + (to[k] - c) * share);
}

// A canvas of one colour for each of its pixels.
function fill(canvas, colours) {
  const context = canvas.getContext("2d");
  const image = context.createImageData(canvas.width, canvas.height);
  colours.forEach((c, k) => image.data.set([...c, 255], 4 * k));
  context.putImageData(image, 0, 0);
}

function paint() {
  const [ground, ink, pro, contra] = ["ground", "ink", "for", "against"].map(colour);
  fill(seen, Array.from(shown.pixels, (byte) => mixed(ground, ink, byte / 255)));
  const slopes = Array.from(shown.saliency ?? new Float32Array(SIDE * SIDE));
  const most = Math.max(...slopes.map(Math.abs)) || 1;
  const drawn = (k) => mixed(ground, ink, (0.25 * shown.pixels[k]) / 255); // a shadow of the drawing
  fill(saliency, slopes.map((slope, k) =>
    mixed(drawn(k), slope > 0 ? pro : contra, Math.min(1, (1.25 * Math.abs(slope)) / most))));
  sketch();
}

// A layer of units as one field, of maps as one picture each.
function showLayer(k, { shape, values }) {
  const figure = layers.children[k] ?? layers.appendChild(document.createElement("figure"));
  if (!figure.firstChild) {
    figure.innerHTML = "<figcaption><h2></h2><small></small></figcaption><canvas role='img'></canvas>";
    figure.querySelector("canvas").setAttribute("aria-label", `Activations of hidden layer ${k + 1}`);
  }
  const active = values.reduce((sum, a) => sum + (a > 0), 0);
  figure.querySelector("h2").textContent =
    shape.length === 1 ? `Hidden layer ${k + 1}` : `Convolution ${k + 1}`;
  figure.querySelector("small").textContent = shape.length === 1
    ? `${active} of ${shape[0]} units are active`
    : `${shape[0]} maps of ${shape[1]} × ${shape[2]}, where each finds what it looks for`;
  const canvas = figure.querySelector("canvas");
  const [maps, high, wide] = shape.length === 1 ? [1, ...field(shape[0])] : shape;
  const across = maps > 8 ? maps / 2 : maps, rows = Math.ceil(maps / across);
  const gap = maps > 1 ? Math.ceil(wide / 12) : 0;
  canvas.width = across * (wide + gap) - gap;
  canvas.height = rows * (high + gap) - gap;
  figure.style.maxWidth = `${across * (maps > 1 ? 7.5 : 1.1 * wide)}rem`;
  const [paper, ground, hot] = ["ground", "ground", "active"].map(colour);
  const most = Math.max(...values) || 1;
  const colours = Array(canvas.width * canvas.height).fill(paper);
  const rest = mixed(ground, colour("ink"), 0.07);
  values.forEach((a, n) => {
    const map = maps > 1 ? Math.floor(n / (high * wide)) : 0, at = n - map * high * wide;
    const x = (map % across) * (wide + gap) + (at % wide);
    const y = Math.floor(map / across) * (high + gap) + Math.floor(at / wide);
    colours[y * canvas.width + x] = mixed(rest, hot, a / most);
  });
  fill(canvas, colours);
}

// Rows and columns for n units: four to nine times as wide as high, and full if that can be.
function field(n) {
  let columns = Math.ceil(Math.sqrt(4 * n));
  while (n % columns && columns * columns < 9 * n) columns++;
  if (n % columns) columns = Math.ceil(Math.sqrt(4 * n));
  return [Math.ceil(n / columns), columns];
}

// ---- the pad -----------------------------------------------------------------------------------

function sketch() {
  const side = Math.round(pad.clientWidth * devicePixelRatio);
  if (pad.width !== side) pad.width = pad.height = side;
  const context = pad.getContext("2d");
  context.clearRect(0, 0, side, side);
  context.lineCap = context.lineJoin = "round";
  context.lineWidth = 0.06 * side;
  context.strokeStyle = `rgb(${colour("ink")})`;
  for (const stroke of strokes) {
    context.beginPath();
    for (const [x, y] of stroke) context.lineTo(x * side, y * side);
    if (stroke.length === 1) context.lineTo(stroke[0][0] * side, stroke[0][1] * side);
    context.stroke();
  }
  if (pen && document.activeElement === pad) { // a ring, filled while it draws
    context.beginPath();
    context.arc(pen[0] * side, pen[1] * side, 0.035 * side, 0, 2 * Math.PI);
    context.lineWidth = 0.012 * side;
    context.strokeStyle = context.fillStyle = `rgb(${colour("active")})`;
    if (down) context.fill();
    context.stroke();
  }
}

let drawing = null; // the pointer that is drawing

function place(event) {
  const box = pad.getBoundingClientRect();
  return [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height];
}

pad.addEventListener("pointerdown", (event) => {
  if (drawing !== null || event.button) return;
  drawing = event.pointerId;
  pad.setPointerCapture(drawing);
  pen = null;
  down = false;
  strokes.push([place(event)]);
  refresh();
});

pad.addEventListener("pointermove", (event) => {
  if (event.pointerId !== drawing) return;
  const between = event.getCoalescedEvents?.() ?? [];
  strokes.at(-1).push(...(between.length ? between : [event]).map(place));
  refresh();
});

for (const end of ["pointerup", "pointercancel"]) {
  pad.addEventListener(end, (event) => {
    if (event.pointerId === drawing) drawing = null;
  });
}

const STEPS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

pad.addEventListener("keydown", (event) => {
  const step = STEPS[event.key];
  if (step) {
    const size = event.shiftKey ? 0.01 : 0.04;
    pen = (pen ?? [0.5, 0.5]).map((p, k) => Math.min(0.97, Math.max(0.03, p + size * step[k])));
    if (down) strokes.at(-1).push(pen);
  } else if (event.key === " ") {
    pen ??= [0.5, 0.5];
    down = !down;
    if (down) strokes.push([pen]);
  } else if (event.key === "Delete" || event.key === "Backspace") {
    erase();
  } else return;
  event.preventDefault();
  refresh();
});

for (const change of ["focus", "blur"]) pad.addEventListener(change, () => sketch());

document.addEventListener("keydown", (event) => {
  if (event.key === "z" && (event.ctrlKey || event.metaKey)) {
    event.preventDefault();
    back();
  }
});

function back() {
  strokes.pop();
  down = false;
  if (!strokes.length) erase();
  refresh();
}

function erase() {
  strokes.length = 0;
  chosen = pen = null;
  down = false;
  pad.focus({ preventScroll: true }); // the buttons are of no more use
  refresh();
}

undo.addEventListener("click", back);
clear.addEventListener("click", erase);

// ---- the rest of the page ------------------------------------------------------------------------

network.classes.forEach((name, k) => {
  const bar = bars.appendChild(document.createElement("button"));
  bar.type = "button";
  bar.innerHTML = "<b></b><i></i><span></span>";
  bar.firstChild.textContent = name;
  bar.addEventListener("click", () => {
    chosen = chosen === k ? null : k;
    refresh();
  });
});
const longest = Math.max(...network.classes.map((name) => name.length));
bars.style.setProperty("--label", `${Math.max(1.25, 0.6 * longest)}rem`);
document.getElementById("about").textContent = network.about;
document.getElementById("origin").textContent = network.origin;

new ResizeObserver(() => sketch()).observe(pad);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => refresh());
refresh();
