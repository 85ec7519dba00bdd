// One image through all layers, models grouped by the heads in their loss.

const methodViews = () => described.views.filter((view) => view.method === control("layers-method").value);

async function drawLayers(overtaken = () => false) {
  const row = state.image, views = methodViews(), image = described.images[row];
  const loaded = await Promise.all(views.map(loadView));
  const limits = [];
  for (const [i, view] of views.entries()) {
    // A layer's percentiles take some milliseconds: a later switch need not wait for all layers.
    if (i) await breath();
    if (overtaken()) return;
    limits.push(limitsOf(view, loaded[i]));
  }
  sayLayers();
  const head = element("tr", {}, element("th", { scope: "col" }, described.classNames[image.label]), element("th", { scope: "col" }, "image"),
    ...views.map((view) => element("th", { scope: "col" }, view.depth === 0 ? `${view.label} (last)` : view.label)));
  const losses = [...new Set(described.models.map((model) => model.loss))];
  const order = losses.flatMap((loss) => described.models.map((_, index) => index).filter((index) => described.models[index].loss === loss));
  const body = order.map((model) => {
    const { name, loss, heads } = described.models[model];
    const { right, text } = prediction(row, model);
    return element("tr", {},
      element("th", { scope: "row" }, name, element("small", {}, loss === "every" ? "loss on every head" : loss === "last" ? "loss on the last head" : ""), element("small", { class: right ? "" : "bad" }, text)),
      element("td", {}, stack(image, null, `Image ${image.id}`)),
      ...views.map((view, i) => {
        if (!loaded[i][model]) return element("td", {}, absent("no trained head here"));
        const layer = view.models[model].layer;
        const accuracy = view.method === "cam" && heads[layer] !== undefined ? [element("p", {}, `head accuracy ${percent(heads[layer])}${described.majority}`)] : [];
        const canvas = element("canvas");
        drawMap(canvas, row, model, view, loaded[i][model], limits[i]);
        return element("td", {}, stack(image, canvas, ""), ...accuracy, ...insaneMark(view, model));
      }));
  });
  control("layers-grid").replaceChildren(element("table", { class: "grid-table" }, element("thead", {}, head), element("tbody", {}, ...body)));
}

function showLayers(row) {
  state.image = (row + imageCount) % imageCount;
  control("layers-image").value = state.image;
  return drawLayers();
}

// The page scrolls after drawing: before, the section has another height.
async function goToLayers(row) {
  openPart("layers");
  control("layers-title").focus({ preventScroll: true });
  await showLayers(row);
  control("layers").scrollIntoView();
}

function prepareLayers() {
  const methods = [...new Set(described.views.map((view) => view.method))];
  fill(control("layers-method"), methods.map((method) => [method, method]));
  // A method that every model has at every layer, so that both kinds of loss can be compared.
  const complete = (method) => described.views.filter((view) => view.method === method).every((view) => view.models.every(Boolean));
  control("layers-method").value = methods.find(complete) ?? methods[0];
  control("layers-method").addEventListener("input", () => showLayers(state.image));
  fill(control("layers-image"), described.images.map((image, row) => [row, image.id]));
  // Start with an image of the first class that all models classify correctly and whose maps differ least.
  const fits = described.images.map((_, row) => row).filter((row) => described.images[row].label === 0 && described.models.every((_, model) => prediction(row, model).right));
  fits.sort((a, b) => (described.images[a].disagreement ?? 1) - (described.images[b].disagreement ?? 1) || a - b);
  state.image = fits[0] ?? 0;
  control("layers-image").value = state.image;
  control("layers-image").addEventListener("input", (event) => showLayers(Number(event.target.value)));
  control("layers-previous").addEventListener("click", () => showLayers(state.image - 1));
  control("layers-next").addEventListener("click", () => showLayers(state.image + 1));
}
