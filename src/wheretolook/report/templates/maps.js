// From stored maps to drawn values. Nothing here rectifies or rescales without being asked to, and told so on the page.

const imageCount = described.images.length;

// A target says which map of an image is drawn: {kind: "contrast" or "map", of: "true", "predicted" or a class index}.
function targetsOf() {
  const named = described.classNames.map((name, index) => ({ name, index }));
  if (!described.everyClass) {
    return [
      { id: "map-true", label: "the true class, its own map", kind: "map", of: "true" },
      { id: "map-predicted", label: "the predicted class, its own map", kind: "map", of: "predicted" },
    ];
  }
  return [
    { id: "contrast-true", label: "the true class, as a contrast", kind: "contrast", of: "true" },
    { id: "contrast-predicted", label: "the predicted class, as a contrast", kind: "contrast", of: "predicted" },
    ...named.map(({ name, index }) => ({ id: `contrast-${index}`, label: `${name}, as a contrast`, kind: "contrast", of: index })),
    ...named.map(({ name, index }) => ({ id: `map-${index}`, label: `${name}, its own map`, kind: "map", of: index })),
  ];
}

function predictedOf(image, model) {
  const scores = image.scores[model];
  return scores.indexOf(Math.max(...scores));
}

function columnOf(target, image, model) {
  if (!described.everyClass) return target.of === "true" ? 0 : 1;
  if (target.of === "true") return image.label;
  return target.of === "predicted" ? predictedOf(image, model) : target.of;
}

// Values of one image's map, in the units of the stored maps. A contrast: a class' map less the mean of the others'.
function valuesOf(maps, row, column, contrast) {
  const { classes, h, w, scales, steps } = maps;
  const cells = h * w, base = row * classes * cells, scale = scales[row];
  const values = new Float32Array(cells);
  for (let cell = 0; cell < cells; cell++) {
    const own = steps[base + column * cells + cell];
    let others = 0;
    if (contrast && classes > 1) {
      for (let k = 0; k < classes; k++) others += steps[base + k * cells + cell];
      others = (others - own) / (classes - 1);
    }
    values[cell] = (own - others) * scale;
  }
  return values;
}

function largest(values) {
  let most = 0;
  for (const value of values) most = Math.max(most, Math.abs(value));
  return most;
}

// A model's own strength: 99 of 100 cells of all images on this page are nearer to zero.
const strengths = new Map();
function strengthOf(key, maps, model, target) {
  if (!strengths.has(key)) {
    const every = new Float32Array(imageCount * maps.h * maps.w);
    described.images.forEach((image, row) => {
      every.set(valuesOf(maps, row, columnOf(target, image, model), target.kind === "contrast"), row * maps.h * maps.w);
    });
    for (let i = 0; i < every.length; i++) every[i] = Math.abs(every[i]);
    every.sort();
    strengths.set(key, every[Math.floor(0.99 * (every.length - 1))] || 1);
  }
  return strengths.get(key);
}
