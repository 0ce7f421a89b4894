"""Plugins are found by metadata, imported when used, and fail alone."""

import subprocess
import sys

import pytest

from harness.core import UserError
from harness.plugins.registry import ALGORITHMS, Registry

GROUP = "gradfree.tested"


@pytest.fixture
def registry():
    return Registry(GROUP, "gadget")


def test_listing_names_imports_no_plugin(registry, install):
    install("first", GROUP, {"wheel": "first_module:Wheel"}, "first_module", "Wheel = 1")
    assert registry.names() == ["wheel"]
    assert "first_module" not in sys.modules
    assert registry.load("wheel") == 1
    assert "first_module" in sys.modules


def test_importing_the_registry_does_not_import_torch():
    code = "import harness.plugins.registry, harness.plugins.build, sys; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_distribution_that_appears_later_is_seen(registry, install):
    assert registry.names() == []
    install("late", GROUP, {"wheel": "late_module:Wheel"}, "late_module", "Wheel = 1")
    assert registry.names() == ["wheel"]


def test_a_misspelt_name_is_answered_with_the_nearest():
    with pytest.raises(UserError) as caught:
        ALGORITHMS.load("opnai-es")
    assert str(caught.value) == "unknown algorithm 'opnai-es': did you mean 'openai-es'?"


def test_a_name_near_to_nothing_is_answered_with_the_list(registry):
    registry.register("wheel", 1)
    registry.register("axle", 1)
    with pytest.raises(UserError, match=r"unknown gadget 'zzz': there are axle, wheel"):
        registry.load("zzz")


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("import no_such_module_anywhere", "ModuleNotFoundError: No module named 'no_such_module_anywhere'"),
        ("raise RuntimeError('one\\ntwo')", "RuntimeError: one"),
        ("import sys; sys.exit(3)", "SystemExit: 3"),
        ("x = 1", "AttributeError: module 'bad_module' has no attribute 'Thing'"),
    ],
)
def test_a_plugin_whose_import_fails_is_named_with_its_distribution_and_harms_no_other(
    registry, install, source, said
):
    install("bad", GROUP, {"broken": "bad_module:Thing"}, "bad_module", source)
    install("good", GROUP, {"sound": "good_module:Thing"}, "good_module", "Thing = 7")
    assert registry.names() == ["broken", "sound"]
    assert registry.load("sound") == 7
    with pytest.raises(UserError) as caught:
        registry.load("broken")
    assert str(caught.value) == (
        f"gadget 'broken' of bad==1.2 cannot be imported: {said}; mend or uninstall that distribution"
    )


def test_a_name_of_two_distributions_is_refused_naming_both_when_it_is_used(registry, install):
    install("left", GROUP, {"same": "left_module:A", "other": "left_module:B"}, "left_module", "A, B = 1, 2")
    install("right", GROUP, {"same": "right_module:A"}, "right_module", "A = 3")
    assert registry.names() == ["other", "same"]
    assert registry.load("other") == 2
    for use in (registry.load, registry.provider):
        with pytest.raises(UserError) as caught:
            use("same")
        for party in ("left==1.2 (left_module:A)", "right==1.2 (right_module:A)"):
            assert party in str(caught.value)


def test_the_provider_is_the_distribution_and_its_version(registry, install):
    install("first", GROUP, {"wheel": "first_module:Wheel"}, "first_module", "Wheel = 1")
    registry.register("by-hand", 1)
    assert registry.provider("wheel") == "first==1.2"
    assert registry.provider("by-hand") == "unpackaged"
    assert ALGORITHMS.provider("random").startswith("gradfree==")


def test_what_is_registered_as_a_context_is_gone_after_it(registry):
    with registry.register("wheel", 1):
        assert registry.load("wheel") == 1
    with pytest.raises(UserError, match="unknown gadget"):
        registry.load("wheel")


def test_a_taken_name_cannot_be_registered_by_hand(registry, install):
    install("first", GROUP, {"wheel": "first_module:Wheel"}, "first_module", "Wheel = 1")
    with pytest.raises(
        UserError, match=r"gadget 'wheel' is already registered by first==1\.2; choose another"
    ):
        registry.register("wheel", 2)
    registry.register("axle", 1)
    with pytest.raises(UserError, match="already registered by unpackaged"):
        registry.register("axle", 2)
    assert registry.load("axle") == 1
