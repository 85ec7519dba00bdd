// Start: controls, a first drawing, then the rest of the maps while nobody waits.

const maskBytes = () => (described.masks ? loadMasks() : Promise.resolve(null));

async function draw() {
  const view = viewNow();
  const [loaded, masks] = await Promise.all([loadView(view), maskBytes()]);
  if (view !== viewNow()) return; // another view was chosen meanwhile
  const limits = limitsOf(view, loaded);
  sayView(limits);
  await drawGallery(view, loaded, limits, masks);
  performance.mark("gallery");
  await Promise.all([drawLayers(masks), drawClasses()]);
  performance.mark("drawn");
  document.documentElement.dataset.drawn = String(1 + Number(document.documentElement.dataset.drawn ?? 0));
}

function turnPage(by) {
  state.page += by;
  draw().then(() => control("gallery-title").scrollIntoView());
}

function prepareTheme() {
  const button = control("theme"), root = document.documentElement;
  const dark = () => (root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches);
  const show = () => { button.setAttribute("aria-pressed", String(dark())); };
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
  for (const view of described.views) await loadView(view);
});
