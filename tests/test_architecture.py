"""The direction of dependencies, and things that no module may do: read from the source."""

import ast
import statistics
import sys
from collections import Counter
from functools import cache
from itertools import chain
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent
APP = PROJECT / "function_app.py"
JIT = sorted((PROJECT / "jit").rglob("*.py"))
DOMAIN = [path for path in JIT if "jit/domain/" in str(path)]
BROKER = [path for path in JIT if "jit/broker/" in str(path)]
TRIGGERS = [path for path in JIT if "jit/triggers/" in str(path)]
GATEWAYS = [path for path in JIT if "jit/gateways/" in str(path)]
OTHERS = [*sorted((PROJECT / "local").rglob("*.py")), *sorted((PROJECT / "bench").rglob("*.py"))]
CODE = [APP, *JIT, *OTHERS]
TESTS = sorted((PROJECT / "tests").rglob("*.py"))
NAMELESS = {"utils", "util", "helpers", "helper", "common", "manager", "misc", "base"}
LARGEST_PACKAGE, LONGEST_MODULE = 14, 350
LONGEST_ROOT = 600  # the composition root is a list: it grows by one part at a time
_PACKAGES = {
    str(path.parent.relative_to(PROJECT)).replace("/", ".")
    for path in JIT
    if path.stem == "__init__"
}


def _name(path):
    return str(path.relative_to(PROJECT))


def _offenders(paths, find):
    """Return the findings of *find* by file; empty if no file offends."""
    return {_name(path): found for path in paths if (found := find(path))}


@cache
def _tree(path):
    return ast.parse(path.read_text())


def _imports(path):
    """The modules that *path* imports anywhere, for types as well."""
    return sorted(set(chain.from_iterable(_imported(node) for node in ast.walk(_tree(path)))))


def _imported(node):
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        module = node.module or ""
        inner = [f"{module}.{alias.name}" for alias in node.names]
        return inner if module in _PACKAGES else [module]
    return []


def _outside(path, *allowed):
    """Return the imports of *path* outside *allowed*."""
    return [name for name in _imports(path) if not f"{name}.".startswith(allowed)]


def _within(path, *forbidden):
    """The imports of *path* that begin with one of *forbidden*."""
    return [name for name in _imports(path) if f"{name}.".startswith(forbidden)]


def _dotted(node):
    """``a.b.c`` of an attribute, as far as it is names."""
    if isinstance(node, ast.Attribute):
        return f"{_dotted(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else ""


def _uses(path, *names):
    """The places where *path* uses one of the dotted *names*."""
    used = (node for node in ast.walk(_tree(path)) if isinstance(node, ast.Attribute))
    return [f"{_dotted(node)} in line {node.lineno}" for node in used if _dotted(node) in names]


def _catches_everything(path):
    found = (node for node in ast.walk(_tree(path)) if isinstance(node, ast.ExceptHandler))
    caught = {"Exception", "BaseException"}
    return [node.lineno for node in found if node.type is None or _dotted(node.type) in caught]


# ---- packages ------------------------------------------------------------------------------------

PURE: frozenset[str] = frozenset()
"""Libraries without I/O that the domain may import, each inside the function that needs it."""


MAY = {  # a package -> the packages that it may import; `d` stands for `jit.domain`
    "d.errors": "",
    "d.values": "d.errors",
    "d.limits": "d.errors d.values",
    "d.model": "d.errors d.values",
    "d.azure": "d.model d.values",
    "d.requests": "d.errors d.limits d.model d.values",
    "d.audit": "d.errors d.model d.values",
    "d.decision": "d.errors d.limits d.model d.values",
    "d.authorization": "d.azure d.errors d.model d.values",
    "d.inventory": "d.azure d.model d.values",
    "d.network_manager": "d.azure d.model d.values",
    "d.paths": "d.azure d.model d.network_manager d.values",
    "d.obstacles": "d.azure d.model d.network_manager d.paths d.values",
    "d.grants": "d.azure d.decision d.errors d.limits d.model d.obstacles d.paths d.values",
    "d.policy_setup": "d.azure d.decision d.errors d.inventory d.model d.values",
    "d.reconcile": "d.azure d.decision d.grants d.inventory d.model d.network_manager d.paths"
    " d.values",
    "d.advice": "d.azure d.inventory d.model d.network_manager d.obstacles d.paths d.values",
    "api_versions": "",
    "__main__": "cli d.audit",
    "cli": "d.audit",
    "interfaces": "d.azure",
    "telemetry": "",
    "version": "",
    "messages": "d.errors",
    "settings": "d.authorization d.limits d.values",
    "storage": "d.audit d.errors d.model d.values telemetry",
    "gateways": "api_versions d.azure d.errors d.values storage",
    "observer": "api_versions d.advice d.azure d.errors d.grants d.inventory d.model"
    " d.network_manager d.paths d.values interfaces telemetry",
    "broker.firewall_turns": "d.errors d.model d.values storage telemetry",
    "broker.locks": "broker.firewall_turns d.errors storage telemetry",
    "broker.initiate_parts": "d.azure d.errors d.model",
    "broker.busy_resources": "d.errors d.values",
    "broker.azure_changes": "broker.busy_resources broker.firewall_turns broker.initiate_parts"
    " d.azure d.errors d.grants d.model d.paths d.values interfaces telemetry",
    "broker.network_managers": "d.model d.network_manager d.values storage",
    "broker.single_flight": "d.errors",
    "broker.look_pace": "d.errors storage",
    "broker.shared_looks": "broker.look_pace broker.single_flight d.errors d.model d.values"
    " observer storage",
    "broker.health": "broker.single_flight d.errors storage version",
    "broker.asked_bars": "d.decision d.errors d.model storage",
    "broker.call_counts": "d.errors d.limits d.values",
    "broker.denial_limit": "d.audit d.errors d.limits d.model d.values storage telemetry",
    "broker.trail": "broker.denial_limit d.audit d.limits d.model storage telemetry",
    "broker.auditing": "d.audit d.errors d.model storage telemetry",
    "broker.rights": "api_versions d.authorization d.azure d.decision"
    " d.errors d.model d.values interfaces telemetry",
    "broker.requests": "broker.asked_bars broker.look_pace broker.rights broker.shared_looks"
    " broker.trail d.audit"
    " d.decision d.errors d.grants d.limits d.model d.requests d.values interfaces messages storage"
    " telemetry",
    "broker.barring": "broker.asked_bars broker.requests d.audit d.errors d.limits d.model"
    " d.requests d.values storage telemetry",
    "broker.policy_worker": "broker.asked_bars broker.azure_changes broker.busy_resources"
    " broker.firewall_turns broker.initiate_parts broker.locks broker.look_pace"
    " broker.network_managers broker.rights d.audit d.authorization d.azure d.decision d.errors"
    " d.grants d.inventory d.limits d.model d.paths d.values interfaces messages observer storage"
    " telemetry",
    "broker.reconcile": "broker.auditing broker.azure_changes broker.locks broker.look_pace"
    " broker.network_managers d.audit d.errors"
    " d.grants d.model d.network_manager d.paths d.reconcile d.values interfaces messages observer"
    " storage telemetry",
    "broker.configure": "broker.locks d.audit d.azure d.decision d.errors d.inventory d.limits"
    " d.model d.policy_setup d.values interfaces messages observer storage telemetry",
    "api": "broker.auditing broker.configure broker.health broker.requests d.audit d.authorization"
    " d.errors d.limits d.model d.reconcile d.requests d.values settings storage telemetry version",
    "triggers": "api d.model d.values messages telemetry wiring",
    "wiring": "broker.asked_bars broker.auditing broker.azure_changes broker.barring"
    " broker.call_counts"
    " broker.configure broker.denial_limit broker.health broker.locks broker.look_pace"
    " broker.network_managers"
    " broker.policy_worker broker.reconcile broker.requests broker.rights broker.shared_looks"
    " broker.trail"
    " gateways interfaces observer settings storage",
}


def _package_of(module):
    """Return the row of the table that *module* belongs to: ``d.grants``, ``storage``."""
    parts = [*module.split("."), "", ""]
    layer = {"domain": "d", "broker": "broker"}.get(parts[1])
    return f"{layer}.{parts[2]}" if layer else parts[1]


def _module_of(path):
    return ".".join(path.relative_to(PROJECT).with_suffix("").parts).removesuffix(".__init__")


def _edges():
    """Return each import of one package by another, with a module that has it."""
    found = {}
    for path in JIT:
        package = _package_of(_module_of(path))
        for name in _imports(path):
            if name.startswith("jit.") and _package_of(name) != package:
                found[f"{package} -> {_package_of(name)}"] = _name(path)
    return found


def _allowed():
    return {f"{package} -> {other}" for package, row in MAY.items() for other in row.split()}


def test_packages_import_only_packages_of_their_row():
    """Arrows point down. A new arrow needs a line in the table, and a reason."""
    allowed = _allowed()

    assert {edge: path for edge, path in _edges().items() if edge not in allowed} == {}


def test_the_table_has_no_dead_edge():
    """An arrow that no code uses is a permission that nobody needs."""
    assert sorted(_allowed() - _edges().keys()) == []


def test_the_table_has_no_cycle():
    """Two packages that import each other are one package."""
    remaining = {package: set(row.split()) for package, row in MAY.items()}
    while free := {package for package, row in remaining.items() if not row & remaining.keys()}:
        remaining = {package: row for package, row in remaining.items() if package not in free}

    assert remaining == {}


def test_no_module_is_longer_than_a_few_screens():
    """A longer one does two things."""
    lines = {_name(path): len(path.read_text().splitlines()) for path in [APP, *JIT]}

    assert lines.pop("jit/wiring.py") <= LONGEST_ROOT
    assert {name: count for name, count in lines.items() if count > LONGEST_MODULE} == {}


def test_no_package_has_too_many_modules():
    """A reader must see a package at once."""
    counts = Counter(_name(path.parent) for path in JIT if path.stem != "__init__")

    assert {name: count for name, count in counts.items() if count > LARGEST_PACKAGE} == {}


def test_no_module_name_appears_twice():
    """A name in a traceback names one file."""
    counts = Counter(path.stem for path in JIT if path.stem != "__init__")

    assert [name for name, count in counts.items() if count > 1] == []


# ---- inwards -------------------------------------------------------------------------------------


def test_the_domain_imports_the_standard_library_and_itself():
    """A rule that needs Azure to be read is not a rule; it is plumbing."""
    known = (
        "jit.domain.",
        *(f"{name}." for name in PURE),
        *(f"{name}." for name in sys.stdlib_module_names),
    )

    assert _offenders(DOMAIN, lambda path: _outside(path, *known)) == {}


def test_the_domain_does_no_work():
    """Values in, values out: nothing is read, written, started, or left to chance."""
    working = ("os.", "io.", "socket.", "subprocess.", "threading.", "pathlib.", "logging.")
    chance = ("time.", "random.", "secrets.")

    assert _offenders(DOMAIN, lambda path: _within(path, *working, *chance)) == {}


def test_the_use_cases_know_neither_http_nor_azures_clients():
    """They speak to interfaces; who stands behind them is the composition root's business."""
    outside = ("azure.", "jit.gateways.", "jit.api.answer.", "jit.wiring.", "requests.")

    assert _offenders(BROKER, lambda path: _within(path, *outside)) == {}


def test_a_gateway_decides_nothing():
    """It knows interface, versions, ARM's JSON, rows, the errors that it raises, and ids."""
    allowed = (
        "jit.api_versions.",
        "jit.domain.azure.arm_json.",
        "jit.domain.errors.",
        "jit.domain.values.arm_ids.",
        "jit.gateways.",
        "jit.interfaces.",
        "jit.storage.table.",
    )

    def find(path):
        return [name for name in _outside(path, *allowed) if name.startswith("jit")]

    assert _offenders(GATEWAYS, find) == {}


def test_only_gateways_the_root_and_http_import_azure():
    """Everything else can be read, and tested, without any Azure package."""
    rest = [path for path in JIT if path not in GATEWAYS and path.name != "wiring.py"]
    http = ("jit/api/", "jit/triggers/")

    def find(path):
        known = {"azure.functions"} if _name(path).startswith(http) else set()
        return [name for name in _within(path, "azure.", "msal.", "requests.") if name not in known]

    assert _offenders(rest, find) == {}


def test_nothing_that_is_deployed_knows_the_local_stack_or_the_tests():
    """The simulator could be deleted, and the broker would not notice."""
    others = ("local.", "tests.", "bench.", "hypothesis.", "pytest.")

    assert _offenders([APP, *JIT], lambda path: _within(path, *others)) == {}


def test_only_the_triggers_know_the_composition_root():
    """Nobody below looks things up."""
    others = [path for path in JIT if path not in TRIGGERS]

    assert _offenders(others, lambda path: _within(path, "jit.wiring.")) == {}


def test_the_triggers_know_no_storage_and_no_azure():
    """They read, call one use case, render."""
    below = (
        "jit.gateways.",
        "jit.storage.request_store.",
        "jit.storage.request_rows.",
        "jit.observer.subscription.",
        "jit.broker.",
    )

    assert _offenders([APP, *TRIGGERS], lambda path: _within(path, *below)) == {}


# ---- the local stack and the benchmarks ---------------------------------------------------------


def _module(path):
    """Return the dotted name of a module or package."""
    parts = path.relative_to(PROJECT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _graph(paths):
    """Return the modules that each module imports, lazy imports and those for types included."""
    modules = {_module(path): path for path in paths}

    def targets(path):
        for node in ast.walk(_tree(path)):
            if isinstance(node, ast.Import):
                yield from (alias.name for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                yield node.module
                yield from (f"{node.module}.{alias.name}" for alias in node.names)

    return {name: {*targets(path)} & (modules.keys() - {name}) for name, path in modules.items()}


def _on_a_cycle(graph):
    """Return the modules that are left when each module without an import left is taken away."""
    left = dict(graph)
    while free := {name for name, imports in left.items() if not imports & left.keys()}:
        left = {name: imports for name, imports in left.items() if name not in free}
    return sorted(left)


def test_local_stack_and_benchmarks_have_no_import_cycle():
    """Each module can be read after the modules that it imports."""
    graph = _graph(OTHERS)

    assert {"local.azure.world", "bench.catalogue"} <= graph.keys()
    assert graph["local.azure.simulator"] > {"local.azure.world", "local.azure.control.endpoints"}
    assert _on_a_cycle(graph) == []


def test_two_modules_that_import_each_other_are_a_cycle():
    """The search itself: a module above a cycle is named too, a module below it is not."""
    graph = {"top": {"a"}, "a": {"b", "low"}, "b": {"a"}, "low": set()}

    assert _on_a_cycle(graph) == ["a", "b", "top"]


def test_packages_of_the_local_stack_and_the_benchmarks_are_small():
    """A folder with more than 14 modules hides each of them."""
    sizes = Counter(path.parent for path in OTHERS if path.name != "__init__.py")

    assert {_name(folder): size for folder, size in sizes.items() if size > LARGEST_PACKAGE} == {}


def test_modules_of_the_local_stack_and_the_benchmarks_are_short():
    """A module that is longer has more than one subject."""
    lengths = {path: len(path.read_text().splitlines()) for path in OTHERS}

    assert {_name(path): size for path, size in lengths.items() if size > LONGEST_MODULE} == {}


# ---- forbidden everywhere ------------------------------------------------------------------------


def test_the_environment_is_read_in_one_place():
    """Settings are a value; only the root knows where they come from. The command line has none."""
    names = ("os.environ", "os.getenv", "os.environb", "os.putenv")

    found = list(_offenders([APP, *JIT], lambda path: _uses(path, *names)))
    assert found == ["jit/__main__.py", "jit/wiring.py"]


def test_the_wall_clock_is_read_in_one_place():
    """One seam: the host of the broker may give it another clock."""
    clocks = ("datetime.now", "datetime.utcnow", "datetime.datetime.now", "time.time")

    assert list(_offenders([APP, *JIT], lambda path: _uses(path, *clocks))) == ["jit/wiring.py"]


def test_no_code_sleeps_but_for_the_pause_that_the_root_hands_out():
    """
    The broker stores slow work and looks again; a test moves the clock.

    The root hands out the pause between two attempts at one transaction: under a second.
    """
    names = ("time.sleep", "asyncio.sleep")
    found = _offenders([APP, *JIT, *TESTS], lambda path: _uses(path, *names))

    assert list(found) == ["jit/wiring.py"]
    assert len(found["jit/wiring.py"]) == 1


def test_the_broker_never_catches_everything():
    """An unforeseen error must reach the host: it is a defect, and a person must see it."""
    assert _offenders([APP, *JIT], _catches_everything) == {}


# ---- how it reads --------------------------------------------------------------------------------


def _without_a_sentence(path):
    text = ast.get_docstring(_tree(path)) or ""
    first = text.split("\n", 1)[0].rstrip()
    return [] if first.endswith((".", ":", "?")) else [first]


def test_every_module_begins_with_a_sentence():
    """The first line of its docstring, as a sentence."""
    assert _offenders([*CODE, *TESTS], _without_a_sentence) == {}


def test_no_module_is_named_for_nothing():
    """A drawer for everything is a drawer for nothing."""
    assert [_name(path) for path in [*CODE, *TESTS] if path.stem in NAMELESS] == []


def _lengths():
    """How many lines each function of the broker has, without its signature and docstring."""
    for path in [APP, *JIT]:
        for node in ast.walk(_tree(path)):
            if isinstance(node, ast.FunctionDef):
                body = node.body[1 if ast.get_docstring(node) else 0 :]
                yield (body[-1].end_lineno or 0) - body[0].lineno + 1 if body else 0


def test_functions_are_short():
    """Half of them have at most eight lines, nine of ten at most twenty-five, all at most forty."""
    lengths = sorted(_lengths())

    assert statistics.median(lengths) <= 8
    assert lengths[int(0.9 * len(lengths))] <= 25
    assert lengths[-1] <= 40
