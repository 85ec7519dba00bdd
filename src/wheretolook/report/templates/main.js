// Start: controls, a first drawing, then the rest of the maps in the background.

// After the browser has painted; after a timeout in a hidden tab, where nothing is painted.
const painted = () => Promise.race([
  new Promise((resolve) => { requestAnimationFrame(() => setTimeout(resolve)); }),
  new Promise((resolve) => { setTimeout(resolve, 200); }),
]);
const breath = () => new Promise((resolve) => { setTimeout(resolve); });
const count = (name) => { document.documentElement.dataset[name] = String(1 + Number(document.documentElement.dataset[name] ?? 0)); };

// The gallery first; layers and classes after the browser has shown it. A later switch overtakes.
let latest = 0;
async function draw() {
  const view = viewNow(), ticket = ++latest;
  const loaded = await loadView(view);
  if (ticket !== latest) return;
  const limits = limitsOf(view, loaded);
  sayView(limits);
  drawGallery(view, loaded, limits);
  count("shown");
  requestAnimationFrame(() => performance.mark("picture"));
  for (const rest of [drawLayers, drawClasses]) {
    await painted();
    if (ticket !== latest) return;
    await rest(() => ticket !== latest);
  }
  if (ticket !== latest) return;
  count("drawn");
}

function turnPage(by) {
  state.page += by;
  draw().then(() => control("gallery-title").scrollIntoView());
}

function prepareTheme() {
  const button = control("theme"), root = document.documentElement;
  const dark = () => (root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches);
  const show = () => { button.textContent = dark() ? "Light" : "Dark"; };
  button.addEventListener("click", () => { root.dataset.theme = dark() ? "light" : "dark"; show(); });
  show();
}

// A link opens the section that it leads to, and whatever its target is folded into.
function openPart(id) {
  const target = document.getElementById(id), part = target?.closest("section")?.querySelector("details.part");
  if (part) part.open = true;
  for (let around = target; around; around = around.parentElement) if (around.tagName === "DETAILS") around.open = true;
}

// Filters of the gallery; those that are not named show all.
function filter(values) {
  for (const id of FILTERS) control(id).value = values[id] ?? "";
  state.page = 0;
  return draw();
}

// "#gallery?image=NAME" shows one image, "#gallery?class=NUMBER" the images of one class.
function follow(hash) {
  const [id, query] = hash.slice(1).split("?");
  openPart(id);
  if (query === undefined) return;
  const parameters = new URLSearchParams(query);
  filter({ search: parameters.get("image") ?? "", "filter-class": parameters.get("class") ?? "" }).then(() => control("gallery-title").scrollIntoView());
}

function prepareParts() {
  document.addEventListener("click", (event) => {
    const link = event.target.closest?.('a[href^="#"]');
    if (link?.hash === location.hash) follow(link.hash);
    else if (link) openPart(link.hash.slice(1).split("?")[0]);
  });
  addEventListener("hashchange", () => follow(location.hash));
  const button = control("open-all"), parts = [...document.querySelectorAll("details.part")];
  const closed = () => parts.some((part) => !part.open);
  const show = () => { button.textContent = closed() ? "Open all" : "Close all"; };
  button.addEventListener("click", () => { const open = closed(); for (const part of parts) part.open = open; });
  for (const part of parts) part.addEventListener("toggle", show);
  show();
}

// On a phone, checks without a problem show only their titles until the button is pressed.
function prepareChecks() {
  const list = control("checks"), button = control("all-checks");
  if (!matchMedia("(max-width: 34rem)").matches) return;
  list.classList.add("brief");
  button.parentElement.hidden = false;
  button.addEventListener("click", () => { button.textContent = list.classList.toggle("brief") ? "Show all figures" : "Show problems only"; });
}

if (matchMedia("(max-width: 52rem)").matches) control("view-details").open = false;
prepareChecks();
prepareTheme();
prepareParts();
prepareControls();
prepareLayers();
listen(draw);
control("previous").addEventListener("click", () => turnPage(-1));
control("next").addEventListener("click", () => turnPage(1));
control("reset").addEventListener("click", () => { history.replaceState(null, "", location.pathname + location.search); filter({}); });
draw().then(async () => {
  if (location.hash) follow(location.hash);
  for (const view of described.views) {
    await breath();
    await loadView(view);
  }
});
