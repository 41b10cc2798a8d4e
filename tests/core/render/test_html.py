import re
from base64 import b64encode
from dataclasses import replace
from hashlib import sha256
from html.parser import HTMLParser

import pytest
from hypothesis import given, settings

from reconciler import resources
from reconciler.core.render import html, words
from reconciler.model import NO_ORIGINS, Action, Outlook, ResetKey, Stage
from tests.core.builders import SENTINEL, applied, few, plan_of, planned, sample_items, whole
from tests.core.render.samples import EVIL, an_item, changed, hostile, hostile_plan, origins_of

PAGE = resources.report_page()
ATTRIBUTES = {  # of everything that a report may hold; none takes a script or an address from outside
    *("aria-describedby", "aria-hidden", "aria-keyshortcuts", "aria-label", "aria-pressed", "autocapitalize"),
    *("autocomplete", "charset", "class", "colspan", "content", "data-group", "data-label", "for", "hidden", "href"),
    *("http-equiv", "id", "lang", "name", "open", "placeholder", "rel", "role", "scope", "spellcheck", "tabindex"),
    "type",
}


class Reading(HTMLParser):
    """Tags with their numbers, names of attributes, addresses, and all text."""

    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.tags, self.attributes, self.addresses, self.pieces = {}, set(), [], []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attributes):
        self.tags[tag] = self.tags.get(tag, 0) + 1
        self.attributes |= {name for name, _ in attributes}
        self.addresses += [value for name, value in attributes if name == "href"]

    def handle_data(self, data):
        self.pieces.append(data)

    @property
    def text(self):
        return "".join(self.pieces)


def rendered(*items, origins=NO_ORIGINS, full=False, frozen=""):
    return html.report(plan_of(*items, frozen=frozen), "desired_state", origins, page=PAGE, full=full)


def text_of(report):
    body = report[report.index("<body>") :]
    return " ".join(" ".join(Reading(body).pieces).split())


def without_frame(report):
    """Style and script aside."""
    return report.replace(PAGE.style, "").replace(PAGE.script, "")


def test_report_of_several_tasks_says_what_the_text_says():
    plan = plan_of(*sample_items(), frozen="for this test")
    shown = text_of(html.report(plan, "desired_state", origins_of(plan, "the clone is shallow"), page=PAGE))
    for told in (
        "The plan is frozen: nothing is begun. 2 components restart. 1 task is invalid. 1 task deletes keys.",
        "Revision sha256:0123456789ab",
        "frozen: for this test the clone is shallow",
        "desired_state/e/invalid/sink.json:4:16 error /workerNum expected an integer 1..1024",
        'found "abc" . Write a number. [schema]',
        "restarts the component; changes around the checkpoint are written again",
        "Raise throttle for shop Ann Lee, 2026-11-20",
        '+ coordinator /throttleRps absent "5000" throttle: unlimited -> 5,000 records/s warn set too low',
        'changed table shop.orders map "orders" -> "orders_v2"',
        '~ sink /password "«secret»" "«secret changed»"',
        '· sink /printSql "true" stays on the component (allowDelete is false)',
        '- sink /workerNum "16" removed 16 -> default 16',
        "blocked d/ danger would update 1 key forbid danger: /sink/jdbcUrl would be changed",
        "14 more values unchanged",
        "1 task stays as it is.",
    ):
        assert told in shown, told


def test_tasks_stand_in_the_order_of_danger():
    names = re.findall(r'<h3><span class="folder">(\w/)</span>', rendered(*sample_items()))
    assert names == ["e/", "b/", "d/", "a/", "i/", "c/", "j/", "g/", "h/"]


def test_tiles_count_what_matters():
    tiles = re.findall(r'<li class="tile[^>]*"><b>([\d,]+)</b> ([^<]+)', rendered(*sample_items()))
    assert tiles == [
        ("10", "tasks"),
        ("2", "restarts"),
        ("1", "delete keys"),
        ("6", "dangers"),
        ("4", "held"),
        ("1", "invalid or failed"),
    ]


def test_chips_count_what_is_listed():
    report = rendered(*sample_items(), an_item(Action.BLOCKED, rail="failed"))
    chips = dict(re.findall(r'class="chip" data-group="([^"]+)" aria-pressed="false">[^<]+<b>(\d+)</b>', report))
    groups = re.findall(r'<details class="task \w+" data-group="([^"]+)"', report)
    assert chips == {group: str(groups.count(group)) for group in groups}
    assert chips["failed"] == "1"


def test_task_with_a_finished_or_waiting_reset_is_counted_once():
    over = an_item(
        Action.NOOP, "orders", outlook=Outlook(ResetKey("t", "p", False, "r"), 1, Stage.DONE, messages=False)
    )
    waits = an_item(Action.BLOCKED, "items", intended=Action.RESET)
    plain = [an_item(Action.NOOP, name) for name in ("orders", "items", "other")]
    assert "2 tasks stay as they are." in text_of(rendered(*plain, over, waits))


def test_unchanged_tasks_are_a_number_unless_all_are_wanted():
    quiet = [planned(None, applied()), an_item(Action.NOOP, "other")]
    assert "2 tasks stay as they are: nothing to do." in text_of(rendered(*quiet))
    assert "<details" not in rendered(*quiet)
    assert "noop shop/ orders no difference" in text_of(rendered(*quiet, full=True))


def test_plan_without_tasks_says_so():
    assert "No tasks." in text_of(rendered())


def test_without_commits_there_is_no_column_for_them():
    assert "<th>Commit" not in rendered(*sample_items()).replace(' scope="col"', "")


def test_key_names_its_commit_and_the_task_names_both():
    plan = plan_of(planned(whole(sink={"workerNum": "8", "printSql": "true"}), applied()))
    report = html.report(plan, "d", origins_of(plan), page=PAGE)
    assert re.findall(r'data-label="commit"><code>(\w+)</code>', report) == ["aaaaaaa", "bbbbbbb"]
    assert re.findall(r'<li><code>(\w+)<span class="rest">(\w+)</span>', report) == [
        ("a" * 7, "a" * 33),
        ("b" * 7, "b" * 33),
    ]


def test_danger_is_told_beside_its_key_only():
    slower = planned(whole(sink={"workerNum": "8"}), applied())
    told = text_of(rendered(replace(slower, remarks=(*slower.remarks, "something else"))))
    assert told.count("takes memory of the host") == 1
    assert "something else" in told


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ('["east", "NAME", "10.0.0.1-9000:x"]', "target east, NAME 10.0.0.1-9000:x"),
        ('["east", "component", "np_a", "reverse", 2]', "target east, component 2 of the reverse link of np_a"),
        ('["east", "IP", "10.0.0.9"]', "perhaps several components"),
    ],
)
def test_address_is_told_in_words(address, shown):
    assert shown in text_of(rendered(an_item(Action.UPDATE, address=address)))


def test_forced_rails_are_shown():
    assert "forced vanished" in text_of(rendered(an_item(Action.UPDATE, forced=("vanished",))))


def test_long_values_mark_what_differs():
    url = "jdbc:oceanbase://10.0.0.21:2883?useUnicode=true&characterEncoding="
    found = an_item(Action.UPDATE, changes=(changed(old=f"{url}utf8", new=f"{url}utf8mb4"),))
    assert re.findall("<mark>(.*?)</mark>", rendered(found)) == ["", "mb4"]


def test_short_values_and_values_without_likeness_are_not_marked():
    found = an_item(Action.UPDATE, changes=(changed(), changed("/b", None, "x" * 50, "y" * 50)))
    assert "<mark>" not in rendered(found)


def test_a_huge_value_is_shortened():
    found = an_item(Action.UPDATE, changes=(changed(old=None, new="x" * 1_000_000),))
    assert len(rendered(found)) < len(PAGE.style) + len(PAGE.script) + 20_000


def test_part_of_a_list_may_need_no_words():
    found = planned(few(sink={"a": ["1", "3"]}), applied(few(sink={"a": ["1", "2"]})))
    assert 'changed /1 "2" -> "3"' in text_of(rendered(found))


def test_violation_of_a_whole_file_has_no_line():
    (wrong,) = sample_items()[4].violations
    file, root = replace(wrong, place=None, suggestion=""), replace(wrong, place=None, file="")
    told = text_of(rendered(an_item(Action.INVALID, violations=(file, root))))
    assert "2 violations" in told
    assert "desired_state/e/invalid/sink.json error" in told
    assert "desired_state error" in told


def test_same_plan_gives_the_same_bytes():
    one, other = (rendered(*items) for items in (sample_items(), sample_items()[::-1]))
    assert one == other


def test_no_secret_is_in_it():
    assert SENTINEL not in rendered(*sample_items(), full=True)


# --- nothing acts --------------------------------------------------------------------------------------------------


def assert_inert(report, expected_tags):
    """Hostile texts are text: no element, no attribute, no address and no hidden character comes from them."""
    read = Reading(without_frame(report))
    assert {tag: number for tag, number in read.tags.items() if tag != "mark"} == expected_tags
    assert read.attributes <= ATTRIBUTES
    assert read.addresses == ["data:,", "#tasks"]
    assert not any(words.is_unsafe(character) for character in report.replace("\n", ""))


def tags_of(plain):
    plan, origins = hostile_plan(plain)
    return Reading(without_frame(html.report(plan, plain, origins, page=PAGE))).tags


@pytest.mark.parametrize("evil", EVIL, ids=ascii)
def test_hostile_texts_are_text(evil):
    plan, origins = hostile_plan(evil)
    report = html.report(plan, evil, origins, page=PAGE)
    assert_inert(report, tags_of("plain"))
    assert words.safe(evil).strip() in Reading(without_frame(report)).text


@given(hostile)
@settings(max_examples=60, deadline=None)
def test_any_text_is_text(evil):
    plan, origins = hostile_plan(evil)
    read = Reading(without_frame(html.report(plan, evil, origins, page=PAGE)))
    assert {*read.tags} - {*tags_of("plain")} <= {"mark"}
    assert (read.tags["script"], read.tags["style"], read.attributes - ATTRIBUTES) == (1, 1, set())


def test_policy_names_the_style_and_the_script_and_nothing_else():
    (policy,) = re.findall(r'Content-Security-Policy" content="([^"]*)"', rendered().replace("&#39;", "'"))
    style, script = (b64encode(sha256(text.encode()).digest()).decode() for text in (PAGE.style, PAGE.script))
    assert policy == (
        f"default-src 'none'; style-src 'sha256-{style}'; script-src 'sha256-{script}'; img-src data:;"
        " base-uri 'none'; form-action 'none'"
    )


def test_style_and_script_cannot_end_their_elements_or_name_another_place():
    for text in (PAGE.style, PAGE.script):
        assert not re.search(r"</|<!--|https?:|url\(|@import", text)
    assert rendered().count(PAGE.style) == rendered().count(PAGE.script) == 1
