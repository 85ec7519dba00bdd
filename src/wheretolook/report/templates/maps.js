// From stored maps to drawn values. Maps are rectified or rescaled only on request, and the page says so.

const imageCount = described.images.length;

// A target says which map of an image is drawn: {kind: "contrast", "map" or "pair", of: "true", "predicted" or a class
// index, less: for a pair, the class index whose map is subtracted}. With two classes, a contrast is the pair.
const PAIRS_UP_TO = 6;
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
    ...pairsOf(named),
    ...named.map(({ name, index }) => ({ id: `map-${index}`, label: `${name}, its own map`, kind: "map", of: index })),
  ];
}

function pairsOf(named) {
  if (named.length < 3 || named.length > PAIRS_UP_TO) return [];
  return named.flatMap((own) => named.filter((other) => other !== own).map((other) => (
    { id: `pair-${own.index}-${other.index}`, label: `${own.name} minus ${other.name}`, kind: "pair", of: own.index, less: other.index })));
}

function predictedOf(image, model) {
  const scores = image.scores[model];
  return scores.indexOf(Math.max(...scores));
}

// Which of an image's stored maps; a method without classes has one.
function columnOf(target, image, model, maps) {
  if (maps.classes === 1) return 0;
  if (!described.everyClass) return target.of === "true" ? 0 : 1;
  if (target.of === "true") return image.label;
  return target.of === "predicted" ? predictedOf(image, model) : target.of;
}

// Values of one image's map, in the units of the stored maps. A contrast is a class' map minus the mean of the others',
// a pair the difference of two classes' maps.
function valuesOf(maps, row, column, target) {
  const { classes, h, w, scales, steps } = maps;
  const cells = h * w, base = row * classes * cells, scale = scales[row];
  const values = new Float32Array(cells);
  for (let cell = 0; cell < cells; cell++) {
    const own = steps[base + column * cells + cell];
    let others = 0;
    if (target.kind === "pair" && classes > 1) {
      others = steps[base + target.less * cells + cell];
    } else if (target.kind === "contrast" && classes > 1) {
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

// A model's 99th percentile of |value| over all images on this page (to one part in 4,096 of the maximum).
const strengths = new Map();
function strengthOf(key, maps, model, target) {
  if (!strengths.has(key)) {
    const { classes, h, w, scales, steps } = maps, cells = h * w;
    const contrast = target.kind === "contrast" && classes > 1 ? 1 / (classes - 1) : 0;
    const pair = target.kind === "pair" && classes > 1;
    const every = new Float32Array(imageCount * cells);
    let most = 0;
    described.images.forEach((image, row) => {
      const first = row * classes * cells, own = first + columnOf(target, image, model, maps) * cells;
      for (let cell = 0; cell < cells; cell++) {
        let value = steps[own + cell];
        if (pair) {
          value -= steps[first + target.less * cells + cell];
        } else if (contrast) {
          let others = -value;
          for (let k = first + cell, end = first + classes * cells; k < end; k += cells) others += steps[k];
          value -= others * contrast;
        }
        value = Math.abs(value * scales[row]);
        every[row * cells + cell] = value;
        if (value > most) most = value;
      }
    });
    strengths.set(key, quantile(every, most, 0.99) || 1);
  }
  return strengths.get(key);
}

// By counting: sorting hundreds of thousands of cells takes too long for a switch.
function quantile(values, most, share) {
  const bins = 4096, counts = new Uint32Array(bins + 1);
  for (const value of values) counts[Math.ceil((value / most) * bins) || 0]++;
  let left = Math.floor(share * (values.length - 1)) + 1, bin = 0;
  while (bin < bins && (left -= counts[bin]) > 0) bin++;
  return (bin / bins) * most;
}
