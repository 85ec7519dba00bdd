// Values to colours, and the small pieces of the page that hold a picture.

const tables = {
  signed: Uint8ClampedArray.from(described.colours.diverging),
  positive: Uint8ClampedArray.from(described.colours.sequential),
};

// Which two cells a pixel lies between the middles of, and how far from the first.
const betweens = new Map();
function between(cells, size) {
  const key = `${cells}/${size}`;
  if (!betweens.has(key)) {
    const low = new Uint16Array(size), high = new Uint16Array(size), share = new Float32Array(size);
    for (let pixel = 0; pixel < size; pixel++) {
      const at = Math.min(cells - 1, Math.max(0, ((pixel + 0.5) * cells) / size - 0.5));
      low[pixel] = Math.floor(at);
      high[pixel] = Math.min(low[pixel] + 1, cells - 1);
      share[pixel] = at - low[pixel];
    }
    betweens.set(key, { low, high, share });
  }
  return betweens.get(key);
}

// Bilinear between the middles of cells, on values (colours are looked up afterwards).
function smoothed(values, h, w, size) {
  const down = between(h, size), across = between(w, size);
  const result = new Float32Array(size * size), line = new Float32Array(w);
  for (let y = 0; y < size; y++) {
    const top = down.low[y] * w, bottom = down.high[y] * w, share = down.share[y];
    for (let x = 0; x < w; x++) line[x] = values[top + x] * (1 - share) + values[bottom + x] * share;
    for (let x = 0; x < size; x++) {
      result[y * size + x] = line[across.low[x]] * (1 - across.share[x]) + line[across.high[x]] * across.share[x];
    }
  }
  return result;
}

// Draw values on a canvas; full colour at `limit`. Signed: blue, none, red; else none to most, what is below zero as none.
// Over an image, what is near zero is clear: at half strength, three quarters of the colour that the opacity allows.
function paint(canvas, values, h, w, limit, options) {
  const smooth = options.smooth && h < described.size;
  const [rows, columns] = smooth ? [described.size, described.size] : [h, w];
  const drawn = smooth ? smoothed(values, h, w, described.size) : values;
  canvas.width = columns;
  canvas.height = rows;
  canvas.classList.toggle("cells", !smooth);
  const context = canvas.getContext("2d");
  const pixels = context.createImageData(columns, rows);
  const table = options.signed ? tables.signed : tables.positive;
  for (let i = 0; i < drawn.length; i++) {
    const strength = options.signed ? drawn[i] / limit : Math.max(0, drawn[i] / limit);
    const unit = Math.min(1, Math.max(0, options.signed ? (strength + 1) / 2 : strength));
    const row = 3 * Math.floor(unit * 255 + 0.5);
    pixels.data[4 * i] = table[row];
    pixels.data[4 * i + 1] = table[row + 1];
    pixels.data[4 * i + 2] = table[row + 2];
    pixels.data[4 * i + 3] = options.opaque ? 255 : 255 * (1 - (1 - Math.min(1, Math.abs(strength))) ** 2);
  }
  context.putImageData(pixels, 0, 0);
}

// A name that may break after a slash.
const breakable = (name) => name.split("/").flatMap((part, i) => (i ? ["/", document.createElement("wbr"), part] : [part]));

function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name === "class") made.className = value;
    else if (value !== undefined) made.setAttribute(name, value);
  }
  made.append(...children);
  return made;
}

// With a space that does not break.
const percent = (share) => `${(100 * share).toFixed(share > 0.995 && share < 1 ? 1 : 0)}\u00a0%`;
const figure = (value) => value.toPrecision(3).replace("-", "−");

// Where a map is strongest, in words, for those who cannot see it.
function strongest(values, h, w) {
  let at = 0;
  for (let i = 1; i < values.length; i++) if (values[i] > values[at]) at = i;
  const third = (cell, cells, words) => words[Math.min(2, Math.floor(3 * (cell + 0.5) / cells))];
  return `strongest ${third(Math.floor(at / w), h, ["at the top", "in the middle", "at the bottom"])}, `
    + `${third(at % w, w, ["left", "centre", "right"])}`;
}

// The outline of evidence and mark, over the pixels of the image.
function outline(image) {
  const space = "http://www.w3.org/2000/svg", size = described.size;
  const drawing = document.createElementNS(space, "svg");
  drawing.setAttribute("class", "outline");
  drawing.setAttribute("viewBox", `0 0 ${size} ${size}`);
  drawing.setAttribute("aria-hidden", "true");
  for (const [kind, path] of Object.entries(image.outlines)) {
    for (const layer of ["under", "over"]) {
      const line = document.createElementNS(space, "path");
      line.setAttribute("class", `${kind} ${layer}`);
      line.setAttribute("d", path);
      drawing.append(line);
    }
  }
  return drawing;
}
