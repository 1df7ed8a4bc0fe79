"""Parts of an initiate: each text stands alone before it costs anybody their access."""

from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jit.broker.initiate_parts import Parts, Reasons
from jit.domain.azure.initiate_body import PortToOpen
from jit.domain.errors import Gone, PermissionLost, Refused
from tests.builders.values import HOME, NOW, vm_id
from tests.sizes import examples

BAD_INPUT = Refused("no", code="InvalidInitiateInput", azure_status=400)


def an_ask(number):
    """The VM port of a VM with that number."""
    return PortToOpen(
        vm_id=vm_id(f"vm{number}"), port=22, sources=(HOME,), until=NOW + timedelta(hours=1)
    )


class Walk:
    """An initiate for VM ports with these requests, and a Defender that refuses some of them."""

    def __init__(self, requests, *, texts=(), ports=(), error=BAD_INPUT):
        self.asks = [an_ask(number) for number in range(len(requests))]
        behind = {ask.vm_port: ids for ask, ids in zip(self.asks, requests, strict=True)}
        self.parts = Parts(Reasons(requests=behind, write="; ".join))
        self.texts, self.bad = set(texts), {self.asks[number].vm_port for number in ports}
        self.error, self.calls = error, []
        self.answered, self.refused = {}, set()

    def run(self):
        """Ask for all of it, part by part."""
        self.parts.add(self.asks)
        while (part := self.parts.take()) is not None:
            numbers = [self.asks.index(ask) for ask in part.asks]
            self.calls.append((numbers, part.reasons))
            if self.texts & set(part.reasons) or self.bad & {ask.vm_port for ask in part.asks}:
                alone = self.parts.refuse(part, self.error)
                self.refused |= {self.asks.index(alone)} if alone else set()
            else:
                self.parts.accept(part)
                self.answered |= dict.fromkeys(numbers, part.reasons)
        return self


def test_all_that_azure_takes_is_one_call():
    """The justification names everybody behind it, once."""
    walk = Walk([("a",), ("b",), ("a", "b")]).run()

    assert walk.calls == [([0, 1, 2], ("a", "b"))]


def test_one_text_that_azure_refuses_stands_alone_at_last():
    """The others keep their own reasons, and nobody else's."""
    walk = Walk([("a",), ("b",), ("c",), ("d",)], texts="c").run()

    assert walk.calls == [
        ([0, 1, 2, 3], ("a", "b", "c", "d")),
        ([0, 1], ("a", "b")),
        ([2, 3], ("c", "d")),
        ([2], ("c",)),
        ([2], ()),
        ([3], ("d",)),
    ]
    assert walk.refused == set()


def test_a_refused_text_behind_many_ports_costs_one_call_more():
    """To divide the VM ports of one text would not help."""
    walk = Walk([("a",)] * 900, texts="a").run()

    assert [(len(numbers), ids) for numbers, ids in walk.calls] == [(900, ("a",)), (900, ())]


def test_one_port_that_azure_refuses_leaves_the_reasons_of_the_others():
    """Its text was left out once, which did not help; then the text is known to be good."""
    walk = Walk([("a",)] * 4, ports=[2]).run()

    assert walk.calls == [
        ([0, 1, 2, 3], ("a",)),
        ([0, 1, 2, 3], ()),
        ([0, 1], ("a",)),
        ([2, 3], ("a",)),
        ([2], ("a",)),
        ([3], ("a",)),
    ]
    assert walk.refused == {2}


def test_a_refused_text_is_sent_no_more_once_it_is_known():
    """A VM port that is refused too hides the text only until a part without it is taken."""
    walk = Walk([("a",)] * 64, texts="a", ports=[63]).run()

    assert walk.refused == {63}
    assert set(walk.answered) == set(range(63))
    assert [len(numbers) for numbers, ids in walk.calls if ids] == [64, 32, 16, 8, 4, 2, 1]


@pytest.mark.parametrize(
    "error",
    [
        Gone("no", code="ResourceNotFound", azure_status=404),
        PermissionLost("no", code="AuthorizationFailed", azure_status=403),
        Refused("no", code="ScopeLocked", azure_status=409),
    ],
)
def test_a_refusal_that_names_another_cause_leaves_no_text_out(error):
    """The calls of one VM port that Azure does not know are not doubled."""
    walk = Walk([("a",)], ports=[0], error=error).run()

    assert walk.calls == [([0], ("a",))]


def test_a_refusal_without_a_code_may_be_about_the_text():
    """A proxy on the way does not like it, and does not say so in Azure's words."""
    walk = Walk([("a",)], texts="a", error=PermissionLost("no", azure_status=403)).run()

    assert walk.answered == {0: ()}


BEHIND = st.lists(st.sets(st.sampled_from("abcd"), max_size=3).map(sorted).map(tuple), min_size=1)


@settings(max_examples=examples(50, 5_000))
@given(BEHIND, st.sets(st.sampled_from("abcd")), st.sets(st.integers(0, 20)))
def test_each_port_opens_unless_azure_refuses_that_port(behind, texts, ports):
    """Azure may refuse any texts; and each justification names the people of its own ports."""
    bad = {number for number in ports if number < len(behind)}
    walk = Walk(behind, texts=texts, ports=bad).run()

    assert (set(walk.answered), walk.refused) == (set(range(len(behind))) - bad, bad)
    assert all(
        ids in ((), tuple(dict.fromkeys(each for number in numbers for each in behind[number])))
        for numbers, ids in walk.calls
    )
    assert len(walk.calls) < 4 * len(behind)


@settings(max_examples=examples(50, 5_000))
@given(BEHIND, st.sampled_from("abcd"))
def test_only_people_who_share_a_port_with_a_refused_text_lose_their_reason(behind, text):
    """In Defender's record; the broker's own trail has it."""
    walk = Walk(behind, texts=text).run()

    assert all(named == () for number, named in walk.answered.items() if text in behind[number])
    assert all(
        set(behind[number]) <= set(named)
        for number, named in walk.answered.items()
        if text not in behind[number]
    )
