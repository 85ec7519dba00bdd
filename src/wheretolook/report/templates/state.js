// What is shown, and the controls that change it.

const targets = targetsOf();
const state = { view: 0, target: targets[0], scale: "model", limit: 0, signed: true, smooth: true, page: 0, image: 0 };
const control = (id) => document.getElementById(id);
const viewNow = () => described.views[state.view];

function fill(select, options) {
  select.replaceChildren(...options.map(([value, label]) => element("option", { value }, label)));
}

function fillLayers() {
  const method = control("method").value;
  const depth = viewNow().depth;
  const views = described.views.map((view, index) => ({ ...view, index })).filter((view) => view.method === method);
  fill(control("layer"), views.map((view) => [view.index, view.depth === 0 ? `${view.label} (last)` : view.label]));
  const nearest = views.find((view) => view.depth === depth) ?? views.find((view) => view.depth === 0) ?? views[0];
  control("layer").value = nearest.index;
  state.view = nearest.index;
}

const loadView = (view) => Promise.all(view.models.map((entry) => entry && loadMaps(entry.block, imageCount, entry.shape)));

// Full colour for a map: what "Full colour at" says. Strengths are those of the view's own method, layer and target.
function limitsOf(view, loaded) {
  const own = loaded.map((maps, model) => maps && strengthOf(`${view.method}/${view.depth}/${model}/${state.target.id}`, maps, model, state.target));
  const common = Math.max(...own.filter(Boolean));
  return { own, common };
}

function limitFor(values, model, limits) {
  if (state.scale === "image") return largest(values) || 1;
  if (state.scale === "model") return limits.own[model];
  return state.limit > 0 ? state.limit : limits.common;
}

const strengthNow = (limits) => figure(state.limit > 0 ? state.limit : limits.common);
const targetText = (view) => (view.models.find(Boolean).shape[0] === 1 && described.classNames.length > 1 ? "the same for all classes" : `of ${state.target.label}`);
const smoothText = () => (state.smooth ? ", smoothed" : "");
const signText = () => (state.signed ? "red: for, blue: against" : "positive values only");

function sizeText(view) {
  const { native, shape } = view.models.find(Boolean);
  const averaged = native[0] > shape[1] ? `averaged by area from ${native[0]} × ${native[1]} to ` : "";
  return `${averaged}${shape[1]} × ${shape[2]} cells${smoothText()}`;
}

// Maps that fail the sanity check are marked wherever they are drawn.
const insane = (view, model) => Boolean(view.models[model]?.fails);
const insaneMark = (view, model) => (insane(view, model) ? [element("span", { class: "insane" }, "fails sanity")] : []);

function sayInsane(view) {
  const names = described.models.map((model) => model.name).filter((_, model) => insane(view, model));
  control("insane").hidden = !names.length;
  control("insane").textContent = names.length ? `${view.method} at ${view.label} fails the sanity check in ${names.join(", ")}: maps of networks with random weights resemble these more than they resemble those of other images. They show the image, and not only what was learned.` : "";
}

// Method, target and scale in words beside the pictures.
function sayView(limits) {
  const view = viewNow();
  const full = { image: "each map's maximum, so pictures cannot be compared in strength",
    model: "the 99th percentile of the model's |values|",
    fixed: `${strengthNow(limits)} in every picture` }[state.scale];
  control("said").textContent = `Drawn: ${view.method} at ${view.label}, ${sizeText(view)}, ${targetText(view)}; ${signText()}; full colour at ${full}; values near zero are transparent.`;
  sayInsane(view);
  const end = state.scale === "image" ? "largest" : state.scale === "model" ? "strong" : strengthNow(limits);
  control("legend-low").textContent = state.signed ? `−${end}` : "0";
  control("legend-high").textContent = state.signed ? `+${end}` : end;
  control("legend-ramp").className = state.signed ? "" : "positive";
}

function sayLayers() {
  const full = { image: "each map's maximum", model: "the 99th percentile of the model's |values| at that layer",
    fixed: state.limit > 0 ? `${figure(state.limit)} in every picture` : "one value for all models at a layer" }[state.scale];
  control("layers-said").textContent = `Drawn: ${control("layers-method").value}${smoothText()}, ${targetText(methodViews()[0])}; ${signText()}; full colour at ${full}.`;
}

function sayClasses(common) {
  const view = viewNow();
  const full = { image: "each map's maximum", model: "the maximum of each column", fixed: `${figure(common)} RMS in every picture` }[state.scale];
  control("classes-said").textContent = `Drawn: ${view.method} at ${view.label}, ${sizeText(view)}, true class${described.overlays.views[state.view].contrast ? ", as a contrast" : ""}; ${signText()}; full colour at ${full}.`;
}

function listen(redraw) {
  const explore = document.querySelector(".explore");
  const on = (id, act) => control(id).addEventListener("input", () => { act(control(id)); redraw(); });
  on("method", fillLayers);
  on("layer", (select) => { state.view = Number(select.value); });
  on("target", (select) => { state.target = targets.find((target) => target.id === select.value); });
  on("scale", (select) => { state.scale = select.value; state.limit = 0; control("limit").value = ""; control("limit-label").hidden = select.value !== "fixed"; });
  on("limit", (input) => { state.limit = Number(input.value); });
  on("sign", (select) => { state.signed = select.value === "signed"; });
  on("smooth", (select) => { state.smooth = select.value === "smooth"; });
  for (const id of [...FILTERS, "sort"]) on(id, () => { state.page = 0; });
  control("opacity").addEventListener("input", (event) => explore.style.setProperty("--opacity", event.target.value / 100));
  control("large").addEventListener("input", (event) => explore.classList.toggle("large", event.target.checked));
  control("evidence").addEventListener("input", (event) => explore.classList.toggle("bare", !event.target.checked));
}

function prepareControls() {
  fill(control("method"), [...new Set(described.views.map((view) => view.method))].map((method) => [method, method]));
  state.view = described.views.findIndex((view) => view.method === described.method && view.depth === 0);
  control("method").value = described.method;
  fillLayers();
  fill(control("target"), targets.map((target) => [target.id, target.label]));
  for (const [index, name] of described.classNames.entries()) control("filter-class").append(element("option", { value: index }, name));
  control("evidence-label").hidden = !described.masks;
}
