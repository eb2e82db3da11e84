"""The whole contract of `blocks/platform.py`: subclass it as `Test…` with a fixture `environment`; docs/platforms.md says how."""

from __future__ import annotations

from tests.platform_contract.crashes import CrashContract
from tests.platform_contract.effects import EffectContract
from tests.platform_contract.leases import LeaseContract
from tests.platform_contract.options import OptionContract
from tests.platform_contract.readings import ReadingContract


class PlatformContract(LeaseContract, EffectContract, CrashContract, ReadingContract, OptionContract):
    """Every promise that a platform makes."""
