"""The settings: one table of keys, checked everywhere, edited without losing comments."""

from __future__ import annotations

import pytest
from muster_command import Muster

from orchestrator.config import KEYS, Config, ConfigError
from relay.wire.home import Home


def write(home: Home, text: str) -> None:
    with open(home.config_file, "w", encoding="utf-8") as file:
        file.write(text)


def test_no_file_is_all_defaults(home: Home) -> None:
    assert Config.load(home, {}) == Config()


def test_every_key_can_be_given_by_its_variable_and_by_the_file(home: Home) -> None:
    shaped = {"host.id": "a-host", "terminal.size": "132x50", "terminal.detach_keys": "ctrl-a q"}
    samples = {
        "str": "http://x",
        "int": "70000",
        "list": "a,b",
        "dict": "a=1,b=2",
        "Literal": None,
        "bool": "0",
        "float": "1.5",
    }
    for key in KEYS:
        sample = samples[getattr(key.plain, "__name__", "Literal")]
        text = sample or str(key.default)
        text = shaped.get(key.name, text)
        value = Config.load(home, {key.variable: text}).get(key)
        assert value != key.default or sample is None, key.name
        assert type(value) is type(key.default), key.name


def test_a_variable_wins_over_the_file(home: Home) -> None:
    write(home, '[relay]\nurl = "http://file"\n')

    assert Config.load(home, {}).relay.url == "http://file"
    assert Config.load(home, {"MUSTER_RELAY_URL": "http://variable"}).relay.url == "http://variable"


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        ("relay = 1\n", 1, "[section]"),
        ("[relay]\nulr = 'x'\n", 2, "relay.url"),
        ("[policy]\n\nmax_agents = 'many'\n", 3, "agents at the same time"),
        ("[keep]\nrecords_days = -1\n", 2, ">= 0"),
        ("[log]\nlevel = 'loud'\n", 2, "debug, info, warning or error"),
        ("[relay]\nurl = 'ftp://x'\n", 2, "http(s)://HOST:PORT"),
        ("[host]\nid = 'two words'\n", 2, "stable name"),
        ("[host]\nlabels = { a = 1 }\n", 2, "place spawns by"),
    ],
)
def test_a_wrong_file_names_the_file_the_line_and_the_remedy(
    home: Home, text: str, line: int, says: str
) -> None:
    write(home, text)

    with pytest.raises(ConfigError) as error:
        Config.load(home, {})

    assert f"{home.config_file}:{line}:" in str(error.value)
    assert says in str(error.value)


def test_a_wrong_variable_is_named(home: Home) -> None:
    with pytest.raises(ConfigError, match="MUSTER_POLICY_MAX_AGENTS"):
        Config.load(home, {"MUSTER_POLICY_MAX_AGENTS": "many"})


def test_a_file_that_is_no_toml_or_no_text_says_so(home: Home) -> None:
    for data in (b"[relay\n", b"\xff\xfe"):
        with open(home.config_file, "wb") as file:
            file.write(data)
        with pytest.raises(ConfigError, match=r"config\.toml is not valid TOML"):
            Config.load(home, {})


def test_the_host_id_is_always_one(home: Home) -> None:
    assert Config.load(home, {"MUSTER_HOST_ID": "me"}).host_id == "me"
    assert Config.load(home, {}).host_id


def test_set_keeps_comments_and_other_keys(muster: Muster) -> None:
    write(
        muster.home,
        "# mine\n[policy]\n# few\nmax_agents = 3 # not more\napproval_max = 'guarded'\n"
        "\n[log]\nlevel = 'debug'\n",
    )

    assert muster("config", "set", "policy.max_agents", "5").code == 0
    assert muster("config", "set", "host.labels", "zone=eu,gpu=yes").code == 0
    assert muster("config", "set", "policy.base_dirs", "/srv,/home").code == 0
    assert muster("config", "unset", "log.level").code == 0

    with open(muster.home.config_file, encoding="utf-8") as file:
        text = file.read()
    assert "# mine\n" in text
    assert "# few\n" in text
    config = Config.load(muster.home, {})
    assert (config.policy.max_agents, config.policy.approval_max) == (5, "guarded")
    assert config.host.labels == {"zone": "eu", "gpu": "yes"}
    assert config.policy.base_dirs == ["/srv", "/home"]
    assert config.log.level == "info"


def test_a_value_may_begin_with_a_dash(muster: Muster) -> None:
    said = muster("config", "set", "policy.max_agents", "-5")
    assert ("No such option" in said.err, ">= 0" in said.err) == (False, True)

    assert muster("config", "set", "host.base_dir", "-x").code == 0
    assert Config.load(muster.home, {}).host.base_dir == "-x"


def test_set_survives_what_it_cannot_edit_in_place(muster: Muster) -> None:
    write(muster.home, "[policy]\nproviders = [\n  'claude',\n]\n")

    assert muster("config", "set", "policy.providers", "codex,gemini").code == 0

    assert Config.load(muster.home, {}).policy.providers == ["codex", "gemini"]


def test_get_prints_what_is_in_force_and_list_every_key(muster: Muster) -> None:
    muster.variables["MUSTER_POLICY_MAX_AGENTS"] = "9"
    muster.variables["MUSTER_TOKEN"] = "mst_secret"

    assert muster("config", "get", "policy.max_agents").text == "9\n"
    listed = muster("config", "list")
    assert "mst_secret" not in listed.text
    for key in KEYS:
        assert key.name in listed.text
    assert set(muster("config", "list", "--json").json) == {key.name for key in KEYS}
