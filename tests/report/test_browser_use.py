"""The page in a real browser: filters, keys, screen readers, themes, paper and phones; nothing asked of a network."""

from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe

from tests.report.fake import World, page_html, read, write_world
from tests.report.page import Page, open_page

OUTPUT = Path(__file__).parents[2] / "test-output"
SIZES = {"desktop": {"width": 1280, "height": 900}, "phone": {"width": 390, "height": 844}}


@pytest.fixture(scope="module")
def output() -> Path:
    """Where pictures of the page are kept for a person to look at."""
    OUTPUT.mkdir(exist_ok=True)
    return OUTPUT


@pytest.mark.parametrize(("size", "scheme"), [("desktop", "light"), ("phone", "dark")])
def test_axe_finds_nothing_serious_and_the_console_is_silent(browser, reports, output, size, scheme):
    with open_page(browser, reports, viewport=SIZES[size], color_scheme=scheme) as page:
        page.page.click("#open-all")
        page.page.screenshot(path=output / f"report-{size}-{scheme}.png", full_page=True)
        found = Axe().run(page.page).response["violations"]
        assert [
            (fault["id"], fault["nodes"][0]["html"]) for fault in found if fault["impact"] in ("serious", "critical")
        ] == []
        assert page.complaints == []
        # The page itself, and addresses that hold their own content.
        assert {url.split(":")[0] for url in page.requests} <= {"file", "data", "blob"}
        assert [url for url in page.requests if url.startswith("file:")] == [page.address]


def test_no_width_makes_the_page_scroll_sideways(browser, reports):
    with open_page(browser, reports) as page:
        page.page.click("#open-all")
        for width in (320, 390, 768, 1280, 1920):
            page.page.set_viewport_size({"width": width, "height": 800})
            assert page.evaluate("document.documentElement.scrollWidth") <= width, width


def test_the_colour_scale_does_not_lie_over_the_words_beside_it(browser, reports):
    boxes = "['#view summary', '.legend'].map(s => document.querySelector(s).getBoundingClientRect().toJSON())"
    letters = "(() => { const words = document.createRange(); words.selectNodeContents(document.querySelector("
    letters += "'#view summary')); return words.getBoundingClientRect().right; })()"
    with open_page(browser, reports) as page:
        for width in (320, 400, 543, 545, 1200):
            page.page.set_viewport_size({"width": width, "height": 800})
            (summary, legend), right = page.evaluate(boxes), page.evaluate(letters)
            assert legend["top"] >= summary["bottom"] or legend["left"] >= right, width


def test_a_wide_window_shows_every_table_whole(page: Page):
    cut = "[...document.querySelectorAll('.scroll')].filter(s => s.scrollWidth > s.clientWidth).map(s => s.ariaLabel)"
    page.page.click("#open-all")
    assert page.evaluate(cut) == []


def test_the_answers_fit_the_first_screen(browser, reports):
    with open_page(browser, reports, viewport={"width": 1440, "height": 900}) as page:
        last = page.page.locator(".verdict.supported li").last.bounding_box()
        assert last["y"] + last["height"] <= 900
        assert page.page.locator(".checks li:not(.more)").last.bounding_box()["y"] <= 900


def test_a_phone_shows_the_checks_and_all_that_is_supported_without_scrolling(browser, reports):
    with open_page(browser, reports, viewport=SIZES["phone"]) as page:
        last = page.page.locator(".verdict.supported li").last.bounding_box()
        assert last["y"] + last["height"] <= SIZES["phone"]["height"]
        fine = page.page.locator(".checks .good .text").first
        assert not fine.is_visible()
        page.page.click("#all-checks")
        assert fine.is_visible()


def test_a_link_opens_the_section_that_it_leads_to(browser, reports):
    with open_page(browser, reports) as page:
        closed = "!document.querySelector('#agreement details').open"
        assert page.evaluate(closed)
        page.page.locator(".verdict a[href='#agreement-of-0']").first.click()
        assert not page.evaluate(closed)
        top = "document.getElementById('agreement-of-0').getBoundingClientRect().top"
        assert 0 <= page.evaluate(top) < 900
        page.page.locator(".verdict a[href^='#rule-']").first.click()
        assert page.page.locator("#rule-same-places").is_visible()
        page.page.locator(".verdict a.term").first.click()
        assert page.page.locator("#glossary dt").first.is_visible()
        page.page.click("#open-all")
        assert page.evaluate("[...document.querySelectorAll('details.part')].every(part => part.open)")


def test_filters_show_what_they_say(page: Page, reports, world: World):
    told = {image["image_id"]: image for image in read(reports / "data.json")["gallery"]["images"]}

    def wrong(image: str, name: str) -> bool:
        scores = told[image]["scores"][name]
        return world.class_names[scores.index(max(scores))] != told[image]["class_name"]

    assert page.text("#count") == "1 to 12 of 20"
    page.choose(**{"filter-class": "1"})
    assert {image.split("/")[0] for image in page.images()} == {"uninfected"}
    page.choose(**{"filter-class": "", "filter-right": "wrong"})
    assert set(page.images()) == {image for image in told if any(wrong(image, name) for name in world.names)}
    page.choose(**{"filter-right": "wrong-1"})
    assert set(page.images()) == {image for image in told if wrong(image, "last-1")}
    page.choose(**{"filter-right": "right"})
    assert page.text("#count").endswith(f"of {sum(not any(wrong(i, n) for n in world.names) for i in told)}")


def test_images_are_found_by_name_class_and_prediction(page: Page, world: World):
    page.fill("search", "infected/0004")
    page.page.wait_for_function("document.getElementById('count').textContent === '1 to 1 of 1'")
    assert page.images() == ["infected/0004.png"]
    with page.redrawn():
        page.page.click("#reset")
    assert page.text("#count") == "1 to 12 of 20"
    page.fill("search", "no such image")
    page.page.wait_for_function("document.getElementById('count').textContent === '0 images'")


def test_pictures_can_be_large(page: Page):
    width = "document.querySelector('#cards .picture').getBoundingClientRect().width"
    before = page.evaluate(width)
    page.page.check("#large")
    assert page.evaluate(width) > 1.8 * before
    assert page.evaluate("document.documentElement.scrollWidth") <= 1280


def test_an_address_leads_to_one_image_or_to_a_class(browser, reports):
    with open_page(browser, reports) as page:
        page.page.goto(page.address + "#gallery?image=uninfected%2F0020.png")
        page.page.wait_for_function("document.getElementById('count').textContent === '1 to 1 of 1'")
        assert page.images() == ["uninfected/0020.png"]
        assert page.page.locator("#cards h3 a").get_attribute("href") == "#gallery?image=uninfected%2F0020.png"
        page.page.locator(".verdict a[href='#gallery?class=0']").first.click()
        page.page.wait_for_function("document.getElementById('count').textContent.endsWith('of 10')")
        assert {image.split("/")[0] for image in page.images()} == {"infected"}
        page.page.wait_for_function("document.getElementById('gallery-title').getBoundingClientRect().top < 100")


def test_wrong_predictions_are_said_in_words_and_marked(page: Page):
    page.choose(**{"filter-right": "wrong"})
    captions = page.page.locator(".picture.wrong figcaption").all_text_contents()
    assert captions
    assert all("✗ wrong: " in caption for caption in captions)


def test_images_are_sorted_by_how_much_the_maps_disagree(page: Page, reports):
    apart = {image["image_id"]: image["disagreement"] for image in read(reports / "data.json")["gallery"]["images"]}
    by_disagreement = sorted(apart, key=lambda image: -apart[image])
    classes = {
        name: [image for image in by_disagreement if image.startswith(f"{name}/")]
        for name in ("infected", "uninfected")
    }
    in_turn = [image for images in zip(*classes.values(), strict=False) for image in images]
    assert page.images() == in_turn[:12]
    page.choose(sort="apart")
    assert page.images() == by_disagreement[:12]
    with page.redrawn():
        page.page.click("#next")
    assert page.images() == by_disagreement[12:]
    page.choose(sort="alike")
    assert page.images() == by_disagreement[::-1][:12]
    page.choose(sort="data")
    assert page.images() == list(apart)[:12]


def test_everything_can_be_reached_and_used_by_keyboard(page: Page):
    press, focus = page.page.keyboard.press, "document.activeElement.id || document.activeElement.textContent"
    press("Tab")
    assert page.evaluate(focus) == "To the answers"
    reached = []
    while "All layers" not in reached and len(reached) < 80:
        press("Tab")
        reached.append(page.evaluate(focus))
    wanted = ["theme", "method", "layer", "target", "scale", "sign", "smooth", "opacity", "evidence"]
    wanted += ["filter-class", "filter-right", "sort", "next", "All layers"]
    assert [name for name in wanted if name not in reached] == []
    page.page.focus("#sign")
    with page.redrawn():
        press("ArrowDown")
    assert "positive values only" in page.text("#said")


def test_the_way_from_an_image_to_all_its_layers(page: Page):
    image = page.images()[3]
    page.page.click(f"[aria-label='All layers of {image}']")
    assert page.evaluate("document.activeElement.id") == "layers-title"
    assert page.evaluate("document.getElementById('layers-image').selectedOptions[0].text") == image
    rows = page.page.locator("#layers-grid tbody tr")
    assert rows.count() == 4
    assert page.page.locator("#layers-grid canvas").count() == 4 * 3
    page.page.wait_for_function("document.getElementById('layers').getBoundingClientRect().top < 40")
    assert page.evaluate("document.getElementById('view').getBoundingClientRect().bottom") <= 0
    page.page.select_option("#layers-method", "cam")
    page.page.wait_for_function("document.querySelectorAll('#layers-grid .absent').length === 4")


def test_every_picture_says_what_it_is(page: Page):
    labels = page.evaluate("[...document.querySelectorAll('canvas')].map(c => c.getAttribute('aria-label'))")
    assert len(labels) > 48
    assert all(label and "strongest" in label for label in labels)
    assert all(page.evaluate("[...document.querySelectorAll('svg.chart')].map(s => s.getAttribute('aria-label'))"))


def test_the_theme_follows_the_system_until_it_is_chosen(browser, reports):
    paper = "getComputedStyle(document.body).backgroundColor"
    with open_page(browser, reports, color_scheme="dark") as page:
        dark = page.evaluate(paper)
        assert page.text("#theme") == "Light"
        page.page.click("#theme")
        assert page.evaluate(paper) != dark
        assert page.text("#theme") == "Dark"
        page.page.click("#theme")
        assert page.evaluate(paper) == dark


def test_the_page_prints_with_its_pictures_and_without_its_controls(browser, reports, output):
    with open_page(browser, reports) as page:
        page.page.emulate_media(media="print")
        assert not page.page.is_visible("#method")
        assert page.page.is_visible("#said")
        assert page.page.locator(".rules dd").first.bounding_box()["height"] > 0, "what is folded is printed, too"
        widths = page.evaluate("[...document.querySelectorAll('#layers-grid .stack')].map(s => s.offsetWidth)")
        assert max(widths) - min(width for width in widths if width) <= 2
        written = page.page.pdf(path=output / "report.pdf", format="A4", print_background=True)
        assert written.startswith(b"%PDF")


def test_without_scripts_the_answers_are_shown_and_the_rest_is_explained(browser, reports):
    with open_page(browser, reports, java_script_enabled=False) as page:
        assert page.page.locator(".headline").count() >= 2
        assert page.page.locator(".checks li .text:visible").count() >= 8
        assert page.page.is_visible("noscript .warning")


def test_a_method_without_classes_is_drawn_and_labelled_as_one(browser, tmp_path: Path):
    write_world(tmp_path, names=("one", "two"), per_class=4, size=16, grids=(4, 2), blind=True)
    page_file = tmp_path / "reports/site/index.html"
    page_file.parent.mkdir()
    page_file.write_text(page_html(tmp_path), encoding="utf-8")
    with open_page(browser, tmp_path / "reports") as page:
        page.choose(method="eigencam")
        assert "eigencam at block2, 2 × 2 cells, smoothed, the same for all classes; red" in page.text("#said")
        assert (page.canvas(page.images()[0], 0)[..., 3] > 0).any()
        assert page.complaints == []


def test_maps_that_fail_the_sanity_check_are_marked_where_they_are_drawn(page: Page):
    note = "#insane"
    assert not page.page.is_visible(note)
    assert page.page.locator("#cards .insane:visible").count() == 0
    page.choose(method="gradcam")
    page.choose(layer=page.layer_value("block1"))
    assert page.text(note).startswith("gradcam at block1 fails the sanity check in last-0, last-1, every-0, every-1")
    assert page.page.locator("#cards .insane:visible").count() == 4 * page.page.locator("#cards .card").count()
    assert page.page.locator("#classes-grid .insane").count() > 0
    page.choose(layer=page.layer_value("block3"))
    assert not page.page.is_visible(note)
