// The network inside a stand-alone page: forward, and backward to the pixels.
"use strict";

// The layers, each { weight: [out × in], bias: [out] }, from 16-bit floats in base64.
function decoded(layers) {
  return layers.map(({ weight, bias }) => ({ weight: halves(weight), bias: halves(bias) }));
}

function halves(text) {
  const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  const view = new DataView(bytes.buffer);
  return Float32Array.from({ length: bytes.length / 2 }, (_, k) => half(view.getUint16(2 * k, true)));
}

// IEEE 754's binary16: a sign, five bits of exponent, ten of fraction.
function half(bits) {
  const exponent = (bits >> 10) & 31, fraction = bits & 1023;
  const size = exponent ? (1 + fraction / 1024) * 2 ** (exponent - 15) : fraction * 2 ** -24;
  return bits >> 15 ? -size : size;
}

// What the network makes of 784 bytes: the answer of the served page's /look.
function looked({ layers, mean, std }, pixels, digit) {
  let x = Float32Array.from(pixels, (byte) => (byte / 255 - mean) / std);
  const hidden = [];
  layers.forEach((layer, k) => {
    x = linear(layer, x);
    if (k < layers.length - 1) {
      x = x.map((z) => Math.max(z, 0));
      hidden.push({ shape: [x.length], values: x });
    }
  });
  const probabilities = softmax(x);
  const of = digit ?? probabilities.indexOf(Math.max(...probabilities));
  return { probabilities, hidden, of, saliency: gradient(layers, hidden, x.length, of, std) };
}

function linear({ weight, bias }, x) {
  return bias.map((b, i) => {
    const row = i * x.length;
    let sum = b;
    for (let j = 0; j < x.length; j++) sum += weight[row + j] * x[j];
    return sum;
  });
}

function softmax(logits) {
  const most = Math.max(...logits);
  const parts = Array.from(logits, (z) => Math.exp(z - most));
  const sum = parts.reduce((a, b) => a + b);
  return parts.map((part) => part / sum);
}

// ∂ logit[of] / ∂ pixel: each layer's transpose, from the last back to the first; a ReLU lets through
// what it let through on the way there.
function gradient(layers, hidden, outputs, of, std) {
  let g = new Float32Array(outputs);
  g[of] = 1;
  for (let k = layers.length - 1; k >= 0; k--) {
    g = transposed(layers[k].weight, g);
    if (k) g = g.map((slope, j) => (hidden[k - 1].values[j] > 0 ? slope : 0));
  }
  return g.map((slope) => slope / std);
}

function transposed(weight, g) {
  const n = weight.length / g.length, sums = new Float32Array(n);
  g.forEach((slope, i) => {
    if (slope) for (let j = 0; j < n; j++) sums[j] += slope * weight[i * n + j];
  });
  return sums;
}
