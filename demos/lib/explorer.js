"use strict"; // One place z of the plane, and two decoders that draw it: an autoencoder's and a VAE's

const $ = (id) => document.getElementById(id);
const DATA = JSON.parse($("data").textContent);
const [SIDE, STEPS, SIZE] = [28, 12, 880]; // pixels along an image's side, images in a walk, pixels along a plane

// ---- the networks
/** The numbers of a text in base64: two bytes each, IEEE 754 half precision. */
function numbers(text) {
  const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  return Float32Array.from(new Uint16Array(bytes.buffer), (word) => {
    const [sign, exponent, fraction] = [word >> 15 ? -1 : 1, (word >> 10) & 31, (word & 1023) / 1024];
    return exponent ? sign * 2 ** (exponent - 15) * (1 + fraction) : sign * 2 ** -14 * fraction;
  });
}

/** y = x W + b: x (D,), W (D, M) row after row, b (M,) → y (M,). */
function dense(x, { W, b }) {
  const y = Float64Array.from(b);
  for (let i = 0; i < x.length; i++) for (let j = 0; j < y.length; j++) y[j] += x[i] * W[i * y.length + j];
  return y;
}

const relu = (x) => x.map((value) => Math.max(0, value));
const sigmoid = (x) => x.map((value) => 1 / (1 + Math.exp(-value)));

/** The image (784,) at the place z (2,). */
function decode(model, z) {
  const [first, ...others] = model.layers;
  return sigmoid(others.reduce((y, layer) => dense(relu(y), layer), dense(z, first)));
}

const eps = numbers(DATA.eps); // (N, 2), the same noise for every β, so that a code moves as β does
for (const model of DATA.models) {
  model.layers = model.layers.map(({ W, b }) => ({ W: numbers(W), b: numbers(b) }));
  model.mu = numbers(model.mu);
  model.sigma = model.logvar && numbers(model.logvar).map((logvar) => Math.exp(0.5 * logvar));
  model.z = model.sigma ? model.mu.map((mu, i) => mu + model.sigma[i] * eps[i]) : model.mu; // z = μ + σ ε
}

/** The code next to a place: which one it is, how far from there, and whether the place is a gap. */
function nearest(model, [x, y]) {
  let [which, distance] = [0, Infinity];
  for (let i = 0; 2 * i < model.z.length; i++) {
    const one = Math.sqrt((model.z[2 * i] - x) ** 2 + (model.z[2 * i + 1] - y) ** 2);
    if (one < distance) [which, distance] = [i, one];
  }
  return { which, distance, gap: distance > model.far };
}

// ---- what is drawn
const [autoencoder, ...vaes] = DATA.models;
const planes = ["ae", "vae"].map((id) => ({ id, canvas: $(`plane-${id}`), codes: new OffscreenCanvas(SIZE, SIZE) }));
const state = { beta: vaes.findIndex((vae) => vae.beta === 1), z: [0, 0], walk: [[-2, 0], [2, 0]] }; // one end: to z
const WORDS = { 0: "β = 0: the reconstruction only", 1: "β = 1: the VAE", 1e6: "β = 10⁶: practically the KL only" };

const color = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`);
const written = (n) => (n && Math.abs(n) < 0.1 ? n.toPrecision(1) : n.toFixed(2)).replace("-", "−");
const unit = (view) => SIZE / (2 * view[2]); // in pixels; view: the middle of the square that is shown, half its side
const toPixel = (view, [x, y]) => [(x - view[0]) * unit(view) + SIZE / 2, (view[1] - y) * unit(view) + SIZE / 2];
const toZ = (view, x, y) => [view[0] + (2 * x - 1) * view[2], view[1] + (1 - 2 * y) * view[2]]; // x, y from 0 to 1

/** An ellipse with the half axes a and b, or its outline. */
function disc(pen, [x, y], [a, b], ink, how = "fill") {
  pen[`${how}Style`] = ink;
  pen.beginPath();
  pen.ellipse(x, y, a, b, 0, 0, 2 * Math.PI);
  pen[how]();
}

/** A word with a rim of paper around it. */
function label(pen, word, [x, y], font, ink) {
  Object.assign(pen, { font: `${font}px system-ui, sans-serif`, textAlign: "center", textBaseline: "middle" });
  Object.assign(pen, { lineJoin: "round", fillStyle: ink });
  for (const [lineWidth, strokeStyle] of [[12, color("paper")], [2, color("ink")]])
    Object.assign(pen, { lineWidth, strokeStyle }).strokeText(word, x, y);
  pen.fillText(word, x, y);
}

/** What does not depend on the point: the gaps, the codes, the prior's rings, the names of digits. */
function drawCodes({ codes, shown: { z, view, far, names } }) {
  const pen = codes.getContext("2d");
  const [paper, ink, digits] = [color("paper"), color("ink"), Array.from("0123456789", (digit) => color(`d${digit}`))];
  const dot = (i, radius, ink) => disc(pen, toPixel(view, z.slice(2 * i, 2 * i + 2)), [radius, radius], ink);
  pen.fillStyle = color("gap");
  pen.fillRect(0, 0, SIZE, SIZE);
  for (let i = 0; i < DATA.labels.length; i++) dot(i, far * unit(view), paper); // what is near a code is no gap
  for (let i = 0; i < DATA.labels.length; i++) dot(i, 3.5, digits[DATA.labels[i]]);
  for (const sigmas of [1, 2, 3]) {
    pen.lineWidth = 2;
    disc(pen, toPixel(view, [0, 0]), [sigmas * unit(view), sigmas * unit(view)], ink, "stroke");
    if (unit(view) > 40 || sigmas === 3) label(pen, `${sigmas}σ`, toPixel(view, [0, -sigmas]), 24, ink);
  }
  names.forEach((place, digit) => place && label(pen, digit, toPixel(view, place), "bold 48", digits[digit]));
}

/** An image as ink: where it is 0, the paper shows through. */
function paint(canvas, image, column = 0) {
  const pixels = new ImageData(SIDE, SIDE);
  image.forEach((value, i) => (pixels.data[4 * i + 3] = Math.round(255 * value)));
  canvas.getContext("2d").putImageData(pixels, column, 0);
}

/** What depends on the point z: the point and the noise of the code next to it, its image, the walk. */
function draw({ id, canvas, codes, model, shown: { view } }) {
  const pen = canvas.getContext("2d");
  const [from, to = state.z] = state.walk;
  const { which, distance, gap } = nearest(model, state.z);
  const [mu, sigma] = [model.mu, model.sigma ?? []].map((pairs) => [...pairs.slice(2 * which, 2 * which + 2)]);
  pen.drawImage(codes, 0, 0);
  Object.assign(pen, { lineWidth: 5, strokeStyle: color("mark") });
  pen.beginPath();
  for (const end of [from, to]) pen.lineTo(...toPixel(view, end));
  pen.stroke();
  if (model.sigma) disc(pen, toPixel(view, mu), sigma.map((one) => one * unit(view)), color("mark"), "stroke");
  const inside = toPixel(view, state.z).map((pixel) => Math.min(Math.max(pixel, 0), SIZE)); // or at the edge
  for (const [radius, ink] of [[17, "paper"], [12, "mark"]]) disc(pen, inside, [radius, radius], color(ink));
  paint($(`digit-${id}`), decode(model, state.z));
  $(`facts-${id}`).textContent = [
    `z = (${state.z.map(written).join(", ")})`,
    `nearest code: a ${DATA.labels[which]}`,
    `${written(distance)} away: ${gap ? "in a gap" : "no gap"}`,
    model.sigma ? `σ = (${sigma.map(written).join(", ")})` : "no noise, so no σ",
  ].join("\n");
  const strip = $(`walk-${id}`);
  [strip.width, strip.height] = [STEPS * (SIDE + 2), SIDE + 3]; // which empties it
  for (let i = 0; i < STEPS; i++) {
    const place = from.map((start, k) => start + ((to[k] - start) * i) / (STEPS - 1));
    paint(strip, decode(model, place), i * (SIDE + 2));
    if (nearest(model, place).gap) strip.getContext("2d").fillRect(i * (SIDE + 2), SIDE + 1, SIDE, 2);
  }
}

/** A plane shows a model: if it is another one, the codes move there, unless motion is unwanted. */
function choose(plane, model) {
  if (plane.model === model) return draw(plane);
  const [from, began] = [plane.shown ?? model, performance.now()];
  const duration = from === model || matchMedia("(prefers-reduced-motion)").matches ? 0 : 500; // in ms
  const step = (now) => {
    const t = duration ? (now - began) / duration : 1;
    const mix = (name) => from[name].map((value, i) => value + t * (model[name][i] - value));
    if (plane.model !== model) return; // yet another was chosen meanwhile
    plane.shown = t < 1 ? { ...model, z: mix("z"), view: mix("view"), names: [] } : model;
    drawCodes(plane);
    draw(plane);
    if (t < 1) requestAnimationFrame(step);
  };
  plane.model = model;
  $(`numbers-${plane.id}`).textContent = model.facts;
  step(began);
}

// ---- what one does
/** Change the state, show it, and keep it in the address. */
function go(change) {
  Object.assign(state, change);
  const vae = vaes[state.beta];
  planes.forEach((plane, i) => choose(plane, [autoencoder, vae][i]));
  $("beta").value = state.beta;
  $("name-beta").textContent = $("beta").ariaValueText = WORDS[vae.beta] ?? `β = ${vae.beta}`;
  const [z, walk] = [state.z, state.walk.flat()].map((values) => values.map((value) => +value.toFixed(3)));
  const keep = () => history.replaceState(null, "", `#model=${state.model}&beta=${vae.beta}&z=${z}&walk=${walk}`);
  clearTimeout(state.timer);
  state.timer = setTimeout(keep, 250); // browsers limit how often the address may change
}

/** The state that the address names; what it leaves out, or does not name rightly, stays. */
function restore() {
  const wish = new URLSearchParams(location.hash.slice(1));
  const list = (name) => (wish.get(name) ?? "").split(",").map(parseFloat);
  const valid = (...values) => values.every(Number.isFinite);
  const [[x, y], [a, b, c, d], beta] = [list("z"), list("walk"), vaes.findIndex((vae) => vae.beta === list("beta")[0])];
  if (valid(x, y)) state.z = [x, y];
  if (valid(a, b)) state.walk = valid(c, d) ? [[a, b], [c, d]] : [[a, b]];
  go({ model: wish.get("model") === "ae" ? "ae" : "vae", beta: beta < 0 ? state.beta : beta });
}

const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] };
const normal = () => Math.sqrt(-2 * Math.log(1 - Math.random())) * Math.cos(2 * Math.PI * Math.random());
const mark = () => go({ walk: state.walk[1] ? [state.z] : [state.walk[0], state.z] });
for (const plane of planes) {
  plane.canvas.onpointermove = plane.canvas.onpointerdown = ({ offsetX: x, offsetY: y, target: { clientWidth: w } }) =>
    go({ model: plane.id, z: toZ(plane.shown.view, x / w, y / w) });
  plane.canvas.onclick = mark;
  plane.canvas.onkeydown = (event) => {
    const arrow = !event.altKey && ARROWS[event.key]; // with Alt, an arrow leads to another page
    const step = plane.shown.view[2] * (event.shiftKey ? 0.1 : 0.01);
    if (arrow) go({ model: plane.id, z: state.z.map((value, i) => value + step * arrow[i]) });
    else if (event.key === "Enter") mark();
    else return;
    event.preventDefault();
  };
}
$("beta").max = vaes.length - 1;
$("beta").oninput = () => go({ model: "vae", beta: +$("beta").value });
$("draw").onclick = () => go({ z: [normal(), normal()] });
matchMedia("(prefers-color-scheme: dark)").onchange = () => planes.forEach((plane) => (drawCodes(plane), draw(plane)));
window.onhashchange = restore;
restore();
