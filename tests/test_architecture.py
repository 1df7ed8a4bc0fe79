"""Which way dependencies point, what no module may do: read from the source."""

import ast
import statistics
import sys
from functools import cache
from itertools import chain
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent
APP = PROJECT / "function_app.py"
JIT = sorted((PROJECT / "jit").rglob("*.py"))
DOMAIN = [path for path in JIT if path.parent.name == "domain"]
BROKER = [path for path in JIT if path.parent.name == "broker"]
GATEWAYS = [path for path in JIT if path.parent.name == "gateways"]
OTHERS = [*sorted((PROJECT / "local").rglob("*.py")), *sorted((PROJECT / "bench").rglob("*.py"))]
CODE = [APP, *JIT, *OTHERS]
TESTS = sorted((PROJECT / "tests").rglob("*.py"))
NAMELESS = {"utils", "util", "helpers", "helper", "common", "manager", "misc", "base"}
_PACKAGES = {"jit", "jit.domain", "jit.broker", "jit.gateways"}


def _name(path):
    return str(path.relative_to(PROJECT))


def _offenders(paths, find):
    """What *find* found, by file; empty where nobody offends."""
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
    """The imports of *path* that begin with none of *allowed*."""
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


# ---- inwards -------------------------------------------------------------------------------------


def test_the_domain_imports_the_standard_library_and_itself():
    """A rule that needs Azure to be read is not a rule; it is plumbing."""
    known = ("jit.domain.", *(f"{name}." for name in sys.stdlib_module_names))

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
    """Of the broker it knows its interface, the errors it translates to, how ids are read."""
    allowed = (
        "jit.domain.errors.",
        "jit.domain.values.arm_ids.",
        "jit.gateways.",
        "jit.interfaces.",
    )

    def find(path):
        return [name for name in _outside(path, *allowed) if name.startswith("jit")]

    assert _offenders(GATEWAYS, find) == {}


def test_only_gateways_the_root_and_http_import_azure():
    """Everything else can be read, and tested, without any Azure package."""
    rest = [path for path in JIT if path not in GATEWAYS and path.name != "wiring.py"]
    allowed = {"jit/api/answer.py": ["azure.functions"]}

    assert _offenders(rest, lambda path: _within(path, "azure.", "msal.", "requests.")) == allowed


def test_nothing_that_is_deployed_knows_the_local_stack_or_the_tests():
    """The simulator could be deleted, and the broker would not notice."""
    others = ("local.", "tests.", "bench.", "hypothesis.", "pytest.")

    assert _offenders([APP, *JIT], lambda path: _within(path, *others)) == {}


def test_only_the_triggers_know_the_composition_root():
    """Nobody below looks things up."""
    assert _offenders(JIT, lambda path: _within(path, "jit.wiring.")) == {}


def test_the_triggers_know_no_storage_and_no_azure():
    """They read, call one use case, render."""
    below = (
        "jit.gateways.",
        "jit.storage.store.",
        "jit.storage.request_rows.",
        "jit.observer.subscription.",
        "jit.broker.",
    )

    assert _offenders([APP], lambda path: _within(path, *below)) == {}


# ---- what nobody does ----------------------------------------------------------------------------


def test_the_environment_is_read_in_one_place():
    """Settings are a value; only the root knows where they come from."""
    names = ("os.environ", "os.getenv", "os.environb", "os.putenv")

    assert list(_offenders([APP, *JIT], lambda path: _uses(path, *names))) == ["jit/wiring.py"]


def test_the_wall_clock_is_read_in_one_place():
    """One seam: whoever hosts the broker may give it another clock."""
    clocks = ("datetime.now", "datetime.utcnow", "datetime.datetime.now", "time.time")

    assert list(_offenders([APP, *JIT], lambda path: _uses(path, *clocks))) == ["jit/wiring.py"]


def test_nobody_sleeps():
    """What takes time is stored and looked at again; a test moves the clock."""
    names = ("time.sleep", "asyncio.sleep")

    assert _offenders([APP, *JIT, *TESTS], lambda path: _uses(path, *names)) == {}


def test_the_broker_never_catches_everything():
    """An unforeseen error must reach the host: it is a defect, and a person must see it."""
    assert _offenders([APP, *JIT], _catches_everything) == {}


# ---- how it reads --------------------------------------------------------------------------------


def _without_a_sentence(path):
    text = ast.get_docstring(_tree(path)) or ""
    first = text.split("\n", 1)[0].rstrip()
    return [] if first.endswith((".", ":", "?")) else [first]


def test_every_module_says_what_it_is_about():
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
    """Half of them within eight lines, nine of ten within twenty-five, none of many screens."""
    lengths = sorted(_lengths())

    assert statistics.median(lengths) <= 8
    assert lengths[int(0.9 * len(lengths))] <= 25
    assert lengths[-1] <= 40
