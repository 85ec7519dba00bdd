// Start: controls, a first drawing, then the rest of the maps while nobody waits.

// After the browser has painted; soon anyway in a tab that nobody looks at, where nothing is painted.
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

if (matchMedia("(max-width: 52rem)").matches) control("view-details").open = false;
prepareTheme();
prepareControls();
prepareLayers();
listen(draw);
control("previous").addEventListener("click", () => turnPage(-1));
control("next").addEventListener("click", () => turnPage(1));
draw().then(async () => {
  for (const view of described.views) {
    await breath();
    await loadView(view);
  }
});
