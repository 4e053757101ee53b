"""A student's cells and the instructor's keep their own orders, and tests follow the answers above them."""

from hypothesis import given
from hypothesis import strategies as st

from tito.notebooks.order import Item, merged

ROLES = st.lists(st.sampled_from(["text", "given", "solution", "test", "locked"]), max_size=12)


@st.composite
def cases(draw):
    roles = draw(ROLES)
    solutions = [place for place, role in enumerate(roles) if role == "solution"]
    answered = draw(st.permutations(solutions))[: draw(st.integers(0, len(solutions)))]
    items = []
    for number in range(draw(st.integers(0, 6))):
        answers = tuple(answered[number::6]) if number < len(answered) else ()
        items.append(Item(number, draw(st.integers(0, len(roles))), answers))
    return roles, items


@given(cases())
def test_every_cell_is_there_once_and_the_orders_are_kept(case):
    roles, items = case
    order = merged(roles, items)
    own = [number for kind, number in order if kind == "own"]
    given_ = [place for kind, place in order if kind == "given"]
    answered = {place for item in items for place in item.answers}
    assert own == [item.number for item in items]
    assert sorted(given_) == [place for place in range(len(roles)) if place not in answered]
    for kinds in (("text", "given", "solution"), ("test", "locked")):
        part = [place for place in given_ if roles[place] in kinds]
        assert part == sorted(part)


@given(cases())
def test_a_test_follows_all_answers_above_it_and_nothing_else_waits(case):
    roles, items = case
    order = merged(roles, items)
    spot = {each: number for number, each in enumerate(order)}
    for item in items:
        for place in item.answers:
            later = [t for t in range(place, len(roles)) if roles[t] in ("test", "locked")]
            assert all(spot["given", t] > spot["own", item.number] for t in later)
        for place in range(item.after):
            if roles[place] in ("text", "given"):
                assert spot["given", place] < spot["own", item.number]


def test_an_untouched_order_stays_as_it_is():
    roles = ["text", "given", "solution", "test", "text", "solution", "test"]
    items = [Item(0, 2, (2,)), Item(1, 4), Item(2, 5, (5,)), Item(3, 7)]
    places = [0, 1, "a", 3, "b", 4, "c", 6, "d"]
    names = {0: "a", 1: "b", 2: "c", 3: "d"}
    assert [n if kind == "given" else names[n] for kind, n in merged(roles, items)] == places
