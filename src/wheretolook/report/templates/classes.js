// The classes' mean maps over their mean images for each model, in units of the model's RMS.

async function drawClasses() {
  const { labels, shapes } = described.overlays.views[state.view];
  const names = [...described.models.map((model) => model.name), "consensus"];
  const loaded = await Promise.all(shapes.map((shape, column) => shape && loadMaps(`overlays-${state.view}-${column}`, labels.length, shape)));
  const every = loaded.map((maps) => maps && labels.map((_, row) => valuesOf(maps, row, 0, { kind: "map" })));
  const own = every.map((rows) => rows && Math.max(...rows.map(largest)));
  sayClasses(Math.max(...own.filter(Boolean)));
  const limit = (values, column) => ({ image: largest(values), model: own[column], fixed: Math.max(...own.filter(Boolean)) }[state.scale] || 1);
  const { classes, images, counts } = described.overlays;
  const body = labels.map((label, row) => {
    // The difference of classes has no mean image.
    const behind = images[row] ?? null;
    const count = classes[row] === label ? `${counts[label]} images` : "";
    const cells = names.map((name, column) => {
      if (!loaded[column]) return element("td", {}, absent("no trained head here"));
      const values = every[column][row], { h, w } = loaded[column], canvas = element("canvas");
      paint(canvas, values, h, w, limit(values, column), { ...state, opaque: !behind });
      canvas.setAttribute("role", "img");
      canvas.setAttribute("aria-label", `${label}, ${name}: ${strongest(values, h, w)}`);
      const made = element("div", { class: behind ? "stack" : "stack alone" });
      if (behind) made.append(element("img", { src: behind, alt: "" }));
      made.append(canvas);
      const mark = column < described.models.length ? insaneMark(viewNow(), column) : [];
      return element("td", {}, made, element("p", {}, `largest ${figure(largest(values))} RMS`), ...mark);
    });
    const mean = behind ? element("div", { class: "stack" }, element("img", { src: behind, alt: `Mean image of ${label}` })) : "";
    return element("tr", {}, element("th", { scope: "row" }, label, element("small", {}, count)), element("td", {}, mean), ...cells);
  });
  const head = element("tr", {}, element("td"), element("th", { scope: "col" }, "mean image"), ...names.map((name) => element("th", { scope: "col" }, name)));
  control("classes-grid").replaceChildren(element("table", { class: "grid-table" }, element("thead", {}, head), element("tbody", {}, ...body)));
}
