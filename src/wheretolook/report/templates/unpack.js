// Packed blocks of the page: base64, deflated; unpacked once, when a view first needs them.

const described = JSON.parse(document.getElementById("described").textContent);
const unpacked = new Map();

function bytesOf(base64) {
  if (Uint8Array.fromBase64) return Uint8Array.fromBase64(base64);
  const text = atob(base64);
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
  return bytes;
}

async function inflate(id) {
  const element = document.getElementById(id);
  const stream = new Blob([bytesOf(element.textContent.trim())]).stream().pipeThrough(new DecompressionStream("deflate-raw"));
  const bytes = new Uint8Array(await new Response(stream).arrayBuffer());
  element.textContent = ""; // the text is not needed again
  return bytes;
}

function once(id, read) {
  if (!unpacked.has(id)) unpacked.set(id, inflate(id).then(read));
  return unpacked.get(id);
}

// Maps of one model: map = steps * scale, with one scale for each image. shape: [classes, rows, columns].
function loadMaps(id, count, shape) {
  const [classes, h, w] = shape;
  return once(id, (bytes) => {
    const steps = new Int8Array(bytes.buffer, 4 * count);
    restoreLast(steps, count, classes, h * w);
    return { classes, h, w, scales: new Float32Array(bytes.buffer, 0, count), steps };
  });
}

// In place of the last class the sum of all was stored; eight-bit arithmetic wraps, so the difference is exact.
function restoreLast(steps, count, classes, cells) {
  for (let row = 0; row < count; row++) {
    const last = (row * classes + classes - 1) * cells;
    for (let k = row * classes * cells; k < last; k += cells) {
      for (let cell = 0; cell < cells; cell++) steps[last + cell] -= steps[k + cell];
    }
  }
}
