"""The page of a report: what it says, that it is safe, and that a browser shows it well."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from functools import cache

import browser
import jax
import matplotlib.pyplot as plt
import numpy as np
import pytest
from quick_fits import QUERY, quick_fit, read_query

from sloth_jax.errors import InputError
from sloth_jax.forecasting.family_curves import family_query, paths_of, quantiles_at
from sloth_jax.forecasting.forecast import forecast
from sloth_jax.plotting.report import page as page_module
from sloth_jax.plotting.report.contents import (
    Asked,
    packed,
    points_on_curves,
    read_evaluation,
    report_contents,
)
from sloth_jax.plotting.report.page import as_data, check_installed, page_of

KEY = jax.random.key(3)
EVIL = "</script><script>window.hacked = 1</script><img src=x onerror='window.hacked = 1'>"
CHARTS = ("curve", "asked-chart", "loadings", "shifts", "budget", "overview")


@cache
def contents() -> dict:
    fit = quick_fit()
    query = read_query(QUERY, fit.table)
    return report_contents(fit, Asked(query=query, flops=(1e22, 1e23)), key=KEY)


def evil_contents() -> dict:
    """The same with HTML and a script in every name."""

    def renamed(rows: list[dict]) -> list[dict]:
        return [{**row, "name": f"{row['name']}{EVIL}"} for row in rows]

    made = contents()
    models = {**made["models"], "name": [f"{name}{EVIL}" for name in made["models"]["name"]]}
    renaming = {name: renamed(made[name]) for name in ("benchmarks", "families", "query")}
    about = {**made["about"], "warnings": [EVIL], "command": EVIL}
    suspect = {"model": EVIL, "benchmark": EVIL, "score": 0.0, "typical": 0.4, "lowest": 0.3}
    return {**made, **renaming, "models": models, "about": about, "suspects": [suspect]}


def unpacked(text: str) -> np.ndarray:
    digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    values = np.array([digits.index(letter) for letter in text]).reshape(-1, 2)
    return (values @ [64, 1]) / 4095


def test_scores_survive_packing():
    scores = np.random.default_rng(0).random((3, 7))
    np.testing.assert_allclose(unpacked(packed(scores)).reshape(3, 7), scores, atol=1.3e-4)
    assert packed(np.array([-0.1, 0.0, 1.0, 1.2])) == "AAAA____"


def test_curves_are_quantiles_of_forecasts():
    fit, made = quick_fit(), contents()
    families = family_query(fit.table)
    paths = paths_of(fit.table, families, None, made["curves"]["points"])
    axis, point, count = 1, 4, len(fit.table.benchmarks)
    at = replace(
        families,
        params_b=paths.params_b[axis, :, point],
        tokens_t=paths.tokens_t[axis, :, point],
    )
    # A family that the query asks about has another path, so only the others are compared.
    found = np.quantile(forecast(fit, at, key=KEY).draws, quantiles_at(0.9), axis=0)
    for f, name in enumerate(families.families):
        if name != "family0":
            number = [one["name"] for one in made["families"]].index(name)
            shown = unpacked(made["curves"]["scores"][number])
            shown = shown.reshape(3, count, 5, -1)[axis, :, :, point].T
            np.testing.assert_allclose(shown, found[:, f], atol=2e-4)


def test_forecasts_of_the_query_are_those_of_predict():
    fit, made = quick_fit(), contents()
    query = read_query(QUERY, fit.table)
    found = forecast(fit, query, key=KEY)
    shown = np.array([one["scores"] for one in made["query"]])
    np.testing.assert_allclose(shown[..., 2], np.median(found.draws, axis=0), atol=1e-4)
    np.testing.assert_allclose(shown[..., 0], found.interval(0.9)[0], atol=1e-4)
    assert [one["name"] for one in made["query"]] == list(query.models)
    names = [one["name"] for one in made["families"]]
    assert names[made["query"][2]["family"]] == "alien"


def test_axes_hold_what_they_say_they_hold():
    table = quick_fit().table
    paths = paths_of(table, family_query(table), None, 5)
    assert np.ptp(paths.tokens_t[0], axis=1).max() == 0.0
    assert np.ptp(paths.params_b[1], axis=1).max() == 0.0
    for axis in range(3):
        places = np.log(paths.places(axis))
        np.testing.assert_allclose(np.diff(places, 2, axis=1), 0.0, atol=1e-9)


def test_the_page_is_one_file_that_asks_for_nothing():
    html = page_of(contents())
    assert len(html.encode()) < 5e6
    assert html == page_of(contents())
    without_scripts = re.sub(r"<script.*?</script>", "", html, flags=re.DOTALL)
    assert not re.findall(r'(?:src|href|action)="(?!data:|#)', without_scripts)
    assert not re.search(r"url\(|@import", without_scripts)
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', html)
    assert policy is not None
    assert policy[1].startswith("default-src &#39;none&#39;; script-src &#39;sha256-")
    assert "unsafe-eval" not in policy[1]
    for words in ("Not tested here", "sloth-jax evaluate", "arXiv:2412.06540", "seed", "jax"):
        assert words in html


def test_names_with_scripts_are_only_text():
    html = page_of(evil_contents())
    assert EVIL not in html
    assert "<img src=x" not in html
    assert html.count("<script") == html.count("</script>") == 3
    data = re.search(r'id="data">(.*?)</script>', html, re.DOTALL)
    assert data is not None
    assert json.loads(data[1])["benchmarks"][0]["name"].endswith(EVIL)
    assert "\u2028" not in as_data({"a": "\u2028<&"})


def test_five_hundred_families_stay_small():
    made = contents()
    count, benchmarks = 500, 12
    points = points_on_curves(count, benchmarks)
    letters = packed(np.full((3, benchmarks, 5, points), 0.5))
    many = {
        **made,
        "families": [{**made["families"][0], "name": f"family {f}"} for f in range(count)],
        "curves": {
            **made["curves"],
            "scores": [letters] * count,
            "ends": made["curves"]["ends"][:1] * count,
        },
    }
    assert len(page_of(many).encode()) < 5e6


def test_an_evaluation_of_another_table_is_refused(tmp_path):
    table = quick_fit().table
    assert read_evaluation(None, table) is None
    with pytest.raises(InputError, match="not what `sloth-jax evaluate"):
        read_evaluation(tmp_path, table)
    (tmp_path / "summary.json").write_text(json.dumps(evaluation(scores=7)))
    with pytest.raises(InputError, match="of another table, with 7 scores"):
        read_evaluation(tmp_path, table)
    given = evaluation(int(table.observed.sum()))
    (tmp_path / "summary.json").write_text(json.dumps(given))
    assert read_evaluation(tmp_path, table) == given


def evaluation(scores: int) -> dict:
    """A record like that of ``sloth-jax evaluate``."""
    numbers = {"mae": 0.04, "flops_mae": 0.06, "mae_less_flops": -0.02, "coverage_90": 0.91}
    errors = {f"{name}_se": 0.01 for name in numbers}
    counts = {"scores": scores, "flops_scores": scores, "lineages": 3}
    rows = [{"benchmark": name, **numbers, **errors} for name in quick_fit().table.benchmarks]
    return {**numbers, **errors, **counts, "n_train": 0, "not_predicted": 0, "added": None,
            "benchmarks": rows}  # fmt: skip


def test_without_its_libraries_the_command_says_how_to_get_them(monkeypatch):
    monkeypatch.setattr(page_module.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(InputError, match=r'needs jinja2 and vl_convert.*"sloth-jax\[report\]"'):
        check_installed("report")


# ---- in a browser ------------------------------------------------------------------------------

in_browser = pytest.mark.skipif(browser.PATH is None, reason=browser.MISSING)


@pytest.fixture(scope="module")
def chromium():
    from playwright.sync_api import sync_playwright

    with sync_playwright() as play:
        found = play.chromium.launch(executable_path=browser.PATH, args=[*browser.FLAGS])
        yield found
        found.close()


def drawn(tab) -> None:
    every = "[...document.querySelectorAll('.chart')].every((one) => one.dataset.drawn)"
    tab.wait_for_function(every)


@pytest.fixture
def opened(chromium, tmp_path):
    """Opens contents in a tab, which must say nothing on its console."""
    said: list[str] = []

    def opened(made: dict, **options):
        path = tmp_path / "report.html"
        path.write_text(page_of(made), encoding="utf-8")
        tab = chromium.new_page(**options)
        tab.on("console", lambda message: said.append(message.text))
        tab.on("pageerror", lambda error: said.append(str(error)))
        tab.on("request", lambda one: one.url.startswith("http") and said.append(one.url))
        tab.goto(path.as_uri())
        drawn(tab)
        return tab

    yield opened
    assert said == []


def drawings(tab, name: str) -> str:
    return tab.eval_on_selector(f"#{name}", "(one) => one.innerHTML")


@in_browser
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
def test_every_picture_has_ink_and_fits(opened, tmp_path, width, scheme):
    made = {**contents(), "evaluation": {"verdict": "It does.", **evaluation(9)}}
    tab = opened(made, viewport={"width": width, "height": 900}, color_scheme=scheme)
    assert tab.evaluate("document.documentElement.scrollWidth") <= width
    for name in (*CHARTS, "errors"):
        image = tmp_path / f"{name}.png"
        tab.locator(f"#{name}").screenshot(path=image)
        assert plt.imread(image)[..., :3].std() > 0.02, name
        box, inside = (tab.locator(at).bounding_box() for at in (f"#{name}", f"#{name} svg"))
        assert inside["width"] <= box["width"] + 1
        assert inside["width"] > 0.9 * box["width"]


@in_browser
def test_a_keyboard_reaches_and_moves_every_control(opened):
    tab = opened(contents())
    reached = {}
    for _ in range(60):
        tab.keyboard.press("Tab")
        where = tab.evaluate(
            "() => [document.activeElement.id || document.activeElement.name || "
            "document.activeElement.tagName, document.activeElement.matches(':focus-visible')]"
        )
        if where[0] == "BODY":
            break
        reached.setdefault(where[0], where[1])
        before = {name: drawings(tab, name) for name in CHARTS}

        def changes(name: str, press: str, before: dict = before) -> None:
            tab.keyboard.press(press)
            tab.wait_for_function(
                "([name, old]) => document.getElementById(name).innerHTML !== old",
                arg=[name, before[name]],
            )

        if where[0] == "family":
            changes("curve", "ArrowDown")
        elif where[0] == "benchmark":
            changes("curve", "ArrowDown")
        elif where[0] == "axis":
            changes("curve", "ArrowRight")
        elif where[0] == "asked":
            changes("asked-chart", "ArrowDown")
        elif where[0] == "family-search":
            tab.keyboard.type("ALIEN")
            assert tab.locator("#family option").count() == 1
            assert "alien" in tab.locator("#headline").inner_text()
            for _ in "alien":
                tab.keyboard.press("Backspace")
        elif where[0] == "SUMMARY":
            tab.keyboard.press("Enter")
            assert tab.locator("#curve-table tbody tr").first.is_visible()
    controls = tab.evaluate(
        "() => [...document.querySelectorAll('input, select, summary')]"
        ".map((one) => one.name || one.id || one.tagName)"
    )
    assert set(controls) <= set(reached), reached
    assert all(reached.values()), reached


@in_browser
def test_print_cuts_no_picture(opened):
    made = {**contents(), "evaluation": {"verdict": "It does.", **evaluation(9)}}
    tab = opened(made, viewport={"width": 1280, "height": 900}, color_scheme="dark")
    assert tab.pdf(format="A4").startswith(b"%PDF")
    # The paper's inside: 210 less 2 x 15 mm, 297 less 2 x 16 mm, at 96 dots an inch.
    width, height = 680, 1001
    tab.emulate_media(media="print")
    tab.set_viewport_size({"width": width, "height": height})
    for figure in tab.locator("figure").all():
        box = figure.bounding_box()
        assert box["height"] <= height
        inside = figure.locator("svg").bounding_box()
        assert inside["x"] >= box["x"] - 1
        assert inside["x"] + inside["width"] <= min(width, box["x"] + box["width"]) + 1
        kept = "(one) => getComputedStyle(one).breakInside"
        assert figure.evaluate(kept) == "avoid"
    assert tab.evaluate("document.documentElement.scrollWidth") <= width
    paper = "getComputedStyle(document.body).backgroundColor"
    assert tab.evaluate(paper) == "rgb(255, 255, 255)"


@in_browser
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_no_serious_fault(opened, scheme):
    from axe_playwright_python.base import AXE_FILE_PATH

    tab = opened(contents(), color_scheme=scheme)
    # By the debugger, which the page's own policy does not bind.
    tab.evaluate(AXE_FILE_PATH.read_text(encoding="utf-8"))
    found = tab.evaluate("axe.run()")["violations"]
    serious = [one for one in found if one["impact"] in ("serious", "critical")]
    assert serious == []


@in_browser
def test_names_with_scripts_run_nothing(opened):
    tab = opened(evil_contents())
    tab.locator("#curve path[aria-label], #curve svg").first.hover()
    assert tab.evaluate("window.hacked") is None
    assert "onerror" in tab.locator("#curve-caption").inner_text()
    assert tab.locator("img").count() == 0
