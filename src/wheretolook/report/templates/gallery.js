// The gallery: one image across all models, those first on whose maps the models differ most.

const PER_PAGE = 12;

function stack(picture, drawn, row, masks, label) {
  const made = element("div", { class: "stack" }, element("img", { src: picture, alt: drawn ? "" : label }));
  if (drawn) {
    drawn.setAttribute("role", "img");
    drawn.setAttribute("aria-label", label);
    made.append(drawn);
  }
  if (masks) made.append(outline(row, masks));
  return made;
}

function absent(reason) {
  return element("div", { class: "stack" }, element("div", { class: "absent" }, reason));
}

function mapPicture(row, model, view, loaded, limits, masks) {
  const image = described.images[row];
  const values = valuesOf(loaded[model], row, columnOf(state.target, image, model), state.target.kind === "contrast");
  const canvas = element("canvas");
  const { h, w } = loaded[model];
  paint(canvas, values, h, w, limitFor(values, model, limits), state);
  const label = `Map of ${described.models[model].name}, ${view.method} at ${view.models[model].layer}, for ${image.id}: ${strongest(values, h, w)}`;
  return stack(image.picture, canvas, row, masks, label);
}

function prediction(row, model) {
  const image = described.images[row];
  const called = predictedOf(image, model);
  const right = called === image.label;
  return { right, text: `${right ? "✓" : "✗ wrong:"} ${described.classNames[called]} ${percent(image.scores[model][called])}` };
}

function card(row, view, loaded, limits, masks) {
  const image = described.images[row];
  const facts = [["Class", described.classNames[image.label]], ["Group", image.group],
    ["Maps apart", image.disagreement === null ? "" : image.disagreement.toFixed(2)]];
  const open = element("button", { type: "button", "aria-label": `All layers of ${image.id}` }, "All layers");
  open.addEventListener("click", () => { showLayers(row); control("layers-title").focus(); });
  const about = element("div", {}, element("h3", {}, ...breakable(image.id)),
    element("dl", {}, ...facts.filter(([, value]) => value).map(([name, value]) => element("div", {}, element("dt", {}, `${name}: `), element("dd", {}, value)))), open);
  const original = element("figure", { class: "picture" }, stack(image.picture, null, row, masks, `Image ${image.id}`), element("figcaption", {}, element("b", {}, "image")));
  const pictures = described.models.map((model, index) => {
    const { right, text } = prediction(row, index);
    const drawn = loaded[index] ? mapPicture(row, index, view, loaded, limits, masks) : absent(`no ${view.method} here: this head was not trained`);
    return element("figure", { class: right ? "picture" : "picture wrong" }, drawn,
      element("figcaption", {}, element("b", {}, model.name), element("span", {}, text)));
  });
  return element("li", { class: "card", "data-image": image.id }, about, element("div", { class: "row" }, original, ...pictures));
}

function chosen() {
  const wanted = control("filter-class").value, shown = control("filter-right").value;
  const right = (row) => described.models.map((_, model) => predictedOf(described.images[row], model) === described.images[row].label);
  const differ = (row) => new Set(described.models.map((_, model) => predictedOf(described.images[row], model))).size > 1;
  const keep = { "": () => true, right: (row) => right(row).every(Boolean), wrong: (row) => !right(row).every(Boolean), differ };
  const test = keep[shown] ?? ((row) => !right(row)[Number(shown.split("-")[1])]);
  const rows = described.images.map((_, row) => row);
  return rows.filter((row) => (wanted === "" || described.images[row].label === Number(wanted)) && test(row));
}

function sorted(rows) {
  const apart = (row) => described.images[row].disagreement ?? 1;
  const unsure = (row) => described.images[row].scores.reduce((sum, scores) => sum + scores[described.images[row].label], 0);
  const by = { apart: (a, b) => apart(b) - apart(a), alike: (a, b) => apart(a) - apart(b), unsure: (a, b) => unsure(a) - unsure(b), data: (a, b) => a - b };
  return rows.sort((a, b) => by[control("sort").value](a, b) || a - b);
}

async function drawGallery(view, loaded, limits, masks) {
  const rows = sorted(chosen());
  const pages = Math.max(1, Math.ceil(rows.length / PER_PAGE));
  state.page = Math.min(state.page, pages - 1);
  const first = state.page * PER_PAGE, shown = rows.slice(first, first + PER_PAGE);
  control("cards").replaceChildren(...shown.map((row) => card(row, view, loaded, limits, masks)));
  if (!shown.length) control("cards").append(element("li", { class: "empty" }, "No image is like this."));
  control("count").textContent = rows.length ? `${first + 1} to ${first + shown.length} of ${rows.length}` : "0 images";
  control("previous").disabled = state.page === 0;
  control("next").disabled = state.page >= pages - 1;
}
