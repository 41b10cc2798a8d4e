import pytest

from reconciler.core.ruleset import diff, joined
from reconciler.model import Danger, DangerLevel

WHITE, BLACK = "whiteCondition", "blackCondition"


def told(old, new, rules=WHITE):
    return [" ".join(filter(None, (part.kind, part.subject, part.text))) for part in diff(rules, old, new)]


def at(level, rules):
    """Rules below as many parents as *level* says."""
    for name in ("shop", "orders")[:level][::-1]:
        rules = [{"name": name, "sub": rules}]
    return rules


LEVELS = pytest.mark.parametrize(
    ("level", "subject"),
    [
        pytest.param(0, "database x", id="database"),
        pytest.param(1, "table shop.x", id="table"),
        pytest.param(2, "column shop.orders.x", id="column"),
    ],
)


@LEVELS
def test_added_rule_is_told_with_its_level(level, subject):
    assert told(at(level, []), at(level, [{"name": "x"}])) == [f"added {subject}"]


@LEVELS
def test_removed_rule_is_told_with_its_level(level, subject):
    assert told(at(level, [{"name": "x"}]), at(level, [])) == [f"removed {subject}"]


@LEVELS
def test_changed_map_is_told_with_its_level(level, subject):
    changed = told(at(level, [{"name": "x"}]), at(level, [{"name": "x", "map": "y"}]))
    assert changed == [f'changed {subject} map "x" -> "y"']


@LEVELS
def test_changed_order_is_told_once_for_a_level(level, subject):
    x, y = {"name": "x"}, {"name": "y"}
    (moved,) = told(at(level, [x, y]), at(level, [y, x]))
    assert moved.startswith(f"moved the order of {subject.split()[0]} rules")


@pytest.mark.parametrize(
    ("old", "new", "text"),
    [
        pytest.param({"map": "y"}, {}, 'map "y" -> "x"', id="map back to the name"),
        pytest.param({}, {"all": "false"}, "all true -> false", id="narrower"),
        pytest.param({"all": "false"}, {}, "all false -> true", id="wider"),
        pytest.param({}, {"attr": {"a": "1"}}, 'attr none -> {"a": "1"}', id="attributes"),
        pytest.param(
            {"attr": {"a": "1"}}, {"attr": {"a": "2"}}, 'attr {"a": "1"} -> {"a": "2"}', id="other attributes"
        ),
        pytest.param(
            {"attr": {"token": f"«secret:{'a' * 64}»"}},
            {"attr": {"token": f"«secret:{'b' * 64}»"}},
            'attr {"token": "«secret»"}: «secret changed»',
            id="secret attributes",
        ),
    ],
)
def test_changed_member_is_told(old, new, text):
    assert told([{"name": "x", **old}], [{"name": "x", **new}]) == [f"changed database x {text}"]


def test_target_name_of_an_added_rule_is_told():
    assert told([], [{"name": "x", "map": "y"}]) == ['added database x map "y"']


@pytest.mark.parametrize(
    ("rule", "text"),
    [
        pytest.param({"sub": [{"name": "a"}]}, "table a", id="one table"),
        pytest.param(
            {"all": "false", "sub": [{"name": "a"}, {"name": "b_*", "func": "fn"}]},
            "only tables a, b_* (fn)",
            id="only",
        ),
        pytest.param({"all": "false"}, "all false", id="nothing inside"),
        pytest.param({"map": "y", "attr": {"dml": "i"}}, 'map "y"; attr {"dml": "i"}', id="filter"),
        pytest.param(
            {"sub": [{"name": str(number)} for number in range(1200)]},
            "tables 0, 1, 2, 3, 4, 5, 6, 7, 8, 9 and 1,190 more",
            id="many",
        ),
    ],
)
def test_what_an_added_rule_holds_is_told(rule, text):
    assert told([], [{"name": "x", **rule}]) == [f"added database x {text}"]


def test_columns_of_an_added_table_are_told():
    old = at(1, [])
    assert told(old, at(1, [{"name": "x", "all": "false", "sub": [{"name": "id"}]}])) == [
        "added table shop.x only column id"
    ]


def test_pattern_and_exact_name_are_two_rules():
    assert told([{"name": "x"}], [{"name": "x", "func": "fn"}]) == ["added database x (fn)", "removed database x"]


def test_rule_keeps_its_pair_when_others_join_before_it():
    old = [{"name": "b", "map": "c"}]
    assert told(old, [{"name": "a"}, {"name": "b", "map": "d"}]) == [
        "added database a",
        'changed database b map "c" -> "d"',
    ]


def test_equal_lists_have_no_parts():
    assert told([{"name": "x", "sub": [{"name": "y"}]}], [{"name": "x", "sub": [{"name": "y"}]}]) == []


@pytest.mark.parametrize("odd", [pytest.param("text", id="text"), pytest.param(["text"], id="no rules")])
def test_what_is_no_rule_is_passed_over(odd):
    assert told(odd, [{"name": "x", "sub": odd}]) == ["added database x"]
    assert told([{"name": "x", "sub": odd}], [{"name": "x"}]) == []


def test_fourth_level_is_still_called_column():
    deep = [{"name": "a", "sub": [{"name": "b", "sub": [{"name": "c", "sub": [{"name": "d"}]}]}]}]
    assert told([{"name": "a", "sub": [{"name": "b", "sub": [{"name": "c"}]}]}], deep) == ["added column a.b.c.d"]


@pytest.mark.parametrize(
    ("old", "new", "white", "black"),
    [
        pytest.param([], [{"name": "x"}], "from now on", "stops being", id="added"),
        pytest.param([{"name": "x"}], [], "stops being", "from now on", id="removed"),
        pytest.param([{"name": "x"}], [{"name": "x", "all": "false"}], "stops being", "from now on", id="narrower"),
        pytest.param([{"name": "x", "all": "false"}], [{"name": "x"}], "from now on", "stops being", id="wider"),
        pytest.param([{"name": "x"}], [{"name": "x", "map": "y"}], "another target", "another target", id="renamed"),
    ],
)
def test_blacklist_swaps_what_joining_and_leaving_mean(old, new, white, black):
    for rules, words in ((WHITE, white), (BLACK, black)):
        (part,) = diff(rules, old, new)
        assert words in part.danger.reason
        assert part.danger.level is DangerLevel.CONFIRM


@pytest.mark.parametrize(
    ("old", "new"),
    [
        pytest.param([{"name": "x"}, {"name": "y"}], [{"name": "y"}, {"name": "x"}], id="order"),
        pytest.param([{"name": "x"}], [{"name": "x", "attr": {}}], id="attributes"),
    ],
)
def test_change_that_moves_no_data_has_no_danger(old, new):
    assert [part.danger for part in diff(WHITE, old, new)] == [None]


def test_dangers_of_all_parts_are_told_as_one():
    one, other = (Danger(DangerLevel.CONFIRM, reason) for reason in ("a", "b"))
    assert joined([one, other, one]) == Danger(DangerLevel.CONFIRM, "a; b")


def test_parts_without_a_danger_have_none_together():
    assert joined([]) is None
