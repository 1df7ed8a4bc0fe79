"""The report of a comparison: alerts by name, summaries, each standing rule once."""

import json
import logging
from datetime import timedelta

from jit.broker.reconcile.comparison import read_comparison
from jit.broker.reconcile.report import MOST_ALERTS, report
from jit.domain.reconcile.observation import Observation
from jit.domain.reconcile.plan_item import PlanAction, PlanClass, PlanItem
from tests.broker.inprocess import HERE, farm
from tests.broker.reconciling import NSG_FARM, told
from tests.local.azure.sim import DEVELOPMENT

GATHERED = 2  # minutes in which Defender writes a rule
STRANGER = "192.0.2.9"


def test_a_leftover_that_stays_is_an_alert_that_names_it(it, caplog):
    """After its end a path is observed gone, or somebody hears which rule is still there."""
    it.closed()
    name = it.leave()
    it.broker.advance(timedelta(hours=1))

    it.run()

    assert [event["rule"] for event in told(caplog, "rule.overdue")] == [name]


def test_a_rule_of_somebody_elses_request_stays(it, caplog):
    """Same VM, same port, same source: still theirs, as long as Defender says so."""
    it.closed()
    it.broker.occupy(farm(1), 22, HERE)
    it.broker.live(GATHERED)

    it.run()

    assert it.broker.reachable(farm(1))
    assert told(caplog, "leftovers.held")[0]["count"] == 1


def test_a_rule_of_a_foreign_request_in_force_is_no_news(it):
    """The portal's users are not the broker's business."""
    it.broker.occupy(farm(1), 22, HERE)
    it.broker.live(GATHERED)

    assert it.planned() == []


def test_orphans_are_reported_in_one_event_and_stay(it, caplog):
    """The first run on an old tenant is no alarm."""
    names = [it.leave(number, sourceAddressPrefix="192.0.2.9") for number in range(1, 9)]

    it.run()

    assert [event["count"] for event in told(caplog, "orphans.found")] == [len(names)]
    assert len(it.allow_rules()) == len(names)


def lines(caplog, level):
    """The events of one level, as they would be sent."""
    return [r.getMessage() for r in caplog.records if r.name == "jit" and r.levelno == level]


def test_an_orphan_is_reported_once_and_not_every_five_minutes(it, caplog):
    """The next comparison knows the report of the last one."""
    it.leave(sourceAddressPrefix=STRANGER)
    it.run()
    it.broker.advance(timedelta(minutes=5))

    it.run()

    assert [event["count"] for event in told(caplog, "orphans.found")] == [1]
    assert told(caplog, "reconcile.finished")[-1]["orphan"] == 1


def test_a_new_orphan_is_reported_by_its_name(it, caplog):
    """The old one is only counted."""
    it.leave(1, sourceAddressPrefix=STRANGER)
    it.run()
    name = it.leave(2, sourceAddressPrefix=STRANGER)

    it.run()

    event = told(caplog, "orphans.found")[-1]
    assert (event["count"], event["total"]) == (1, 2)
    assert event["examples"] == [f"{NSG_FARM}/{name}"]


def test_an_orphan_that_went_and_came_back_is_reported_again(it, caplog):
    """It is another fact."""
    name = it.leave(sourceAddressPrefix=STRANGER)
    it.run()
    it.edit(**{f"{NSG_FARM}/securityRules/{name}": None})
    it.run()
    it.leave(sourceAddressPrefix=STRANGER)

    it.run()

    assert len(told(caplog, "orphans.found")) == 2


def test_a_comparison_that_fails_forgets_nothing(it, caplog):
    """An hour without a permission does not make old orphans news."""
    it.leave(sourceAddressPrefix=STRANGER)
    it.run()
    action = "Microsoft.Network/networkSecurityGroups/read"
    it.broker.sim.control("PUT", "state", {"deniedActions": [action]})
    it.run()
    it.broker.sim.control("PUT", "state", {"deniedActions": []})

    it.run()

    assert len(told(caplog, "orphans.found")) == 1


def test_the_first_run_on_an_old_tenant_is_one_line(it, caplog):
    """Hundreds of leftovers of the time before the broker: a summary of bounded size, no alert."""
    name = it.leave(sourceAddressPrefix=STRANGER)
    rule = it.broker.sim.rules(NSG_FARM)[name]
    nsg = it.broker.sim.get(NSG_FARM)
    nsg["properties"]["securityRules"] = [
        {
            "name": f"MicrosoftDefenderForCloud-JITRule-77-{number:032X}",
            "properties": {**rule, "priority": 1000 + number},
        }
        for number in range(MANY)
    ]
    it.edit(**{NSG_FARM: nsg})

    it.run()

    (warning,) = [line for line in lines(caplog, logging.WARNING) if "orphans" in line]
    assert json.loads(warning)["count"] == MANY
    assert len(warning) < 4096
    assert lines(caplog, logging.ERROR) == []


def test_many_overdue_rules_are_a_bounded_number_of_alerts(it, caplog):
    """Some by name, the rest as a number: an alert that nobody reads helps nobody."""
    it.closed()
    for number in range(1, MOST_ALERTS + 4):
        it.leave(number)
    it.broker.advance(timedelta(hours=2))

    it.run()

    alerts = told(caplog, "rule.overdue")
    assert len(alerts) == MOST_ALERTS + 1
    assert alerts[-1]["more"] == 3


MANY = 300


def test_many_vanished_vms_are_a_bounded_number_of_alerts(it, caplog):
    """One more alert counts the others; the next run repeats no alert."""
    items = [
        PlanItem(
            action=PlanAction.CLOSE,
            kind=PlanClass.MISSING,
            resource=farm(1) + f"-{number}",
            reason="gone",
            grant=f"grant-{number}",
        )
        for number in range(MOST_ALERTS + 3)
    ]
    nothing = Observation(nsgs={}, firewalls={}, machines={}, entries=())
    comparison = read_comparison(
        it.broker.requests, DEVELOPMENT, nothing, now=it.broker.now, remove_orphans=False
    )

    reported = report(items, comparison, frozenset())
    first = told(caplog, "vm.vanished")
    report(items, comparison, reported)

    assert len(first) == MOST_ALERTS + 1
    assert first[-1]["more"] == 3
    assert told(caplog, "vm.vanished") == first
