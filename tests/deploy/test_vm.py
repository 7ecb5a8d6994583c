"""What is installed on a VM, as far as it shows without one; ``try_systemd.py`` shows the rest on a real one."""

from configparser import RawConfigParser

from tests.support.distributions import ROOT


def service() -> dict[str, str]:
    unit = RawConfigParser(strict=False)
    unit.optionxform = str  # type: ignore[assignment,method-assign]
    unit.read(ROOT / "systemd" / "pipetest.service")
    return dict(unit["Service"])


def test_a_wrong_setting_is_not_restarted_until_its_reason_has_gone_from_the_status() -> None:
    assert service()["RestartPreventExitStatus"] == "78"


def test_the_unit_leaves_in_proc_what_the_metrics_of_the_process_are_read_from() -> None:
    """``/proc/stat``, which ``ProcSubset=pid`` hides, tells when the machine was booted."""
    assert "ProcSubset" not in service()


def test_the_installation_can_be_read_by_the_service_whatever_the_umask_of_who_installs() -> None:
    commands = (ROOT / "deploy" / "install-vm").read_text().splitlines()
    first, then = commands.index(next(line for line in commands if line.startswith("umask 022"))), "python3 -m venv"
    assert first < commands.index(next(line for line in commands if line.startswith(then)))
