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

// A link to a section opens it, wherever the link is.
function openPart(id) {
  const part = document.getElementById(id)?.closest("section")?.querySelector("details.part");
  if (part) part.open = true;
}

function prepareParts() {
  document.addEventListener("click", (event) => {
    const link = event.target.closest?.('a[href^="#"]');
    if (link) openPart(link.hash.slice(1));
  });
  addEventListener("hashchange", () => openPart(location.hash.slice(1)));
  if (location.hash) openPart(location.hash.slice(1));
  const button = control("open-all"), parts = [...document.querySelectorAll("details.part")];
  const closed = () => parts.some((part) => !part.open);
  const show = () => { button.textContent = closed() ? "Open all sections" : "Close all sections"; };
  button.addEventListener("click", () => { const open = closed(); for (const part of parts) part.open = open; });
  for (const part of parts) part.addEventListener("toggle", show);
  show();
}

if (matchMedia("(max-width: 52rem)").matches) control("view-details").open = false;
prepareTheme();
prepareParts();
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
