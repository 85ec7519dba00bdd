// The gallery: one image across all models; first the images whose maps differ most.

const PER_PAGE = 12;
const FILTERS = ["search", "filter-class", "filter-right"];

function stack(image, drawn, label) {
  const made = element("div", { class: "stack" }, element("img", { src: image.picture, alt: drawn ? "" : label }));
  if (drawn) made.append(drawn);
  if (Object.keys(image.outlines).length) made.append(outline(image));
  return made;
}

function absent(reason) {
  return element("div", { class: "stack" }, element("div", { class: "absent" }, reason));
}

// A nearly transparent map says so; otherwise it looks like a picture that failed to load.
const FAINT = 0.25;
function drawMap(canvas, row, model, view, maps, limits) {
  const image = described.images[row], { h, w } = maps;
  const values = valuesOf(maps, row, columnOf(state.target, image, model, maps), state.target);
  const limit = limitFor(values, model, limits);
  paint(canvas, values, h, w, limit, state);
  canvas.setAttribute("role", "img");
  canvas.setAttribute("aria-label", `Map of ${described.models[model].name}, ${view.method} at ${view.models[model].layer}, for ${image.id}: ${strongest(values, h, w)}`);
  return largest(values) / limit;
}

function prediction(row, model) {
  const image = described.images[row];
  const called = predictedOf(image, model);
  const right = called === image.label;
  return { right, text: `${right ? "✓" : "✗ wrong:"} ${described.classNames[called]} ${percent(image.scores[model][called])}` };
}

// A card is built once; a switch repaints its canvases.
const cards = new Map();
function card(row) {
  if (!cards.has(row)) cards.set(row, buildCard(row));
  return cards.get(row);
}

function buildCard(row) {
  const image = described.images[row];
  const facts = [["Class", described.classNames[image.label]], ["Group", image.group],
    ["Difference of maps", image.disagreement === null ? "" : image.disagreement.toFixed(2)]];
  const open = element("button", { type: "button", "aria-label": `All layers of ${image.id}` }, "All layers");
  open.addEventListener("click", () => { goToLayers(row); });
  const link = element("a", { href: `#gallery?image=${encodeURIComponent(image.id)}`, title: "Link to this image" }, ...breakable(image.id));
  const about = element("div", {}, element("h3", {}, link),
    element("dl", {}, ...facts.filter(([, value]) => value).map(([name, value]) => element("div", {}, element("dt", {}, `${name}: `), element("dd", {}, value)))), open);
  const original = element("figure", { class: "picture" }, stack(image, null, `Image ${image.id}`), element("figcaption", {}, element("b", {}, "image")));
  const slots = described.models.map((model, index) => {
    const { right, text } = prediction(row, index);
    const canvas = element("canvas"), missing = absent("");
    const figure = element("figure", { class: right ? "picture" : "picture wrong" }, stack(image, canvas, ""), missing,
      element("figcaption", {}, element("b", {}, model.name), element("span", {}, text)));
    return { canvas, missing, figure, faint: figure.querySelector("figcaption").appendChild(element("span", { class: "faint", hidden: "" })),
      mark: figure.querySelector("figcaption").appendChild(element("span", { class: "insane", hidden: "" }, "fails sanity")) };
  });
  const made = element("li", { class: "card", "data-image": image.id }, about, element("div", { class: "row" }, original, ...slots.map((slot) => slot.figure)));
  return { made, slots };
}

function paintCard(row, view, loaded, limits) {
  const { made, slots } = card(row);
  slots.forEach(({ canvas, missing, mark, faint }, model) => {
    mark.hidden = !insane(view, model);
    canvas.parentElement.hidden = !loaded[model];
    missing.hidden = Boolean(loaded[model]);
    missing.firstChild.textContent = `no ${view.method} here: this head was not trained`;
    const reached = loaded[model] ? drawMap(canvas, row, model, view, loaded[model], limits) : 1;
    faint.hidden = reached >= FAINT;
    faint.textContent = `faint: up to ${percent(reached)} of full colour`;
  });
  return made;
}

function chosen() {
  const only = control("filter-class").value, shown = control("filter-right").value;
  const right = (row) => described.models.map((_, model) => predictedOf(described.images[row], model) === described.images[row].label);
  const differ = (row) => new Set(described.models.map((_, model) => predictedOf(described.images[row], model))).size > 1;
  const keep = { "": () => true, right: (row) => right(row).every(Boolean), wrong: (row) => !right(row).every(Boolean), differ };
  const test = keep[shown] ?? ((row) => !right(row)[Number(shown.split("-")[1])]);
  const rows = described.images.map((_, row) => row);
  return rows.filter((row) => (only === "" || described.images[row].label === Number(only)) && test(row) && found(row));
}

// Whether an image's name, group, class or a model's prediction holds the words searched for.
function found(row) {
  const image = described.images[row], words = control("search").value.trim().toLowerCase();
  const called = described.models.map((_, model) => described.classNames[predictedOf(image, model)]);
  return !words || [image.id, image.group, described.classNames[image.label], ...called].some((text) => text.toLowerCase().includes(words));
}

function sorted(rows) {
  const apart = (row) => described.images[row].disagreement ?? 1;
  const unsure = (row) => described.images[row].scores.reduce((sum, scores) => sum + scores[described.images[row].label], 0);
  const by = { turns: (a, b) => apart(b) - apart(a), apart: (a, b) => apart(b) - apart(a), alike: (a, b) => apart(a) - apart(b), unsure: (a, b) => unsure(a) - unsure(b), data: (a, b) => a - b };
  const order = control("sort").value;
  rows.sort((a, b) => by[order](a, b) || a - b);
  return order === "turns" ? inTurn(rows) : rows;
}

// Classes take turns; otherwise the class with faint maps would fill the first pages.
function inTurn(rows) {
  const seen = new Map(), place = new Map();
  for (const row of rows) {
    const label = described.images[row].label, turn = seen.get(label) ?? 0;
    seen.set(label, turn + 1);
    place.set(row, [turn, label]);
  }
  return rows.sort((a, b) => place.get(a)[0] - place.get(b)[0] || place.get(a)[1] - place.get(b)[1]);
}

function drawGallery(view, loaded, limits) {
  const rows = sorted(chosen());
  const pages = Math.max(1, Math.ceil(rows.length / PER_PAGE));
  state.page = Math.min(state.page, pages - 1);
  const first = state.page * PER_PAGE, shown = rows.slice(first, first + PER_PAGE);
  control("cards").replaceChildren(...shown.map((row) => paintCard(row, view, loaded, limits)));
  if (!shown.length) control("cards").append(element("li", { class: "empty" }, "No image matches."));
  control("count").textContent = rows.length ? `${first + 1} to ${first + shown.length} of ${rows.length}` : "0 images";
  control("reset").hidden = !FILTERS.some((id) => control(id).value);
  control("previous").disabled = state.page === 0;
  control("next").disabled = state.page >= pages - 1;
}
