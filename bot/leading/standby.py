"""The standby: follows the log of the process that leads, and takes the lead when that one is gone.

Rules kept here:
- It signs nothing, asks nothing of the homeserver, and writes no table but the line that says how far it is.
- While the database is away nobody is taken for gone: the leader cannot say that it is alive either.
- A database that the deployment was moved away from, or that a newer version made, is refused at the start.
- A machine that may not lead any more goes on following, and says why; it does not take the lead.
- However much there is to take in, it says how far it is, and looks at the leader, every few seconds.
- Of several standbys one takes the lead, and the others follow it.
Left to others: the files (`storage/journal/follower.py`), when a leader counts as gone
(`storage/database/leadership.py`), what keeps a machine from leading (`able.py`).
"""

import asyncio
import shutil
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import structlog
from sqlalchemy.exc import DBAPIError

from bot.config.config import Config
from bot.monitoring.report import HealthReport
from bot.monitoring.standby_health import Obstacle, StandbyVitals, standby_report
from bot.monitoring.systemd import ServiceManager
from storage.database.fence import LedElsewhere
from storage.database.refusals import DatabaseRefused, is_of_driver, refusal_of
from storage.journal.level import files_differ, open_follower

from .able import must_be_able_to_lead, obstacle_to_leading, refuse_unusable
from .away import LOOK_S, Away, until_told
from .lead import Lead, enrolled, lines_of, worded

if TYPE_CHECKING:
    from storage.database.leadership import Leader, Leadership
    from storage.journal.follower import Follower
    from storage.journal.postgresql_lines import PostgresLines

log = structlog.get_logger()

_CHECK_S = 30.0  # how often it looks whether it could lead
_SLICE_S = 1.5  # for which it takes in records before it looks at the leader again
_JUST_WRITTEN = 100  # records: fewer may be missing while the leader writes all the time


class Standby:
    """One process that stands by."""

    def __init__(self, config: Config, lost: Callable[[], object]) -> None:
        self._config = config
        self._lost = lost
        self._leadership: Leadership | None = None
        self._table: PostgresLines | None = None
        self._follower: Follower | None = None
        self._leader = ""  # whom it followed last
        self._unfinished = ""  # what was told of erasures and purges that cannot be carried out here
        self._away = Away(config.place)
        self._level_s: float | None = None  # when it last had all records
        self._records = 0
        self._obstacle: Obstacle = ""
        self._checked_s = 0.0

    async def report(self) -> HealthReport:
        """Return how well this process follows."""
        disk = await asyncio.to_thread(shutil.disk_usage, self._config.data_dir)
        age_s = -1.0 if self._level_s is None else time.monotonic() - self._level_s
        away, unfinished = self._away.is_waiting, bool(self._unfinished)
        return standby_report(StandbyVitals(age_s, self._records, away, self._obstacle, unfinished, disk.free))

    async def until_leading(self, stop: asyncio.Event, manager: ServiceManager) -> Lead | None:
        """Follow until this process leads; None if `stop` was set before.

        Raises `Refused` if the files do not belong to the log in the database, `OSError` if the disk fails.
        """
        try:
            while not stop.is_set():
                try:
                    if (lead := await asyncio.to_thread(self._step)) is not None:
                        return lead
                    if self._level_s is not None:
                        manager.ready()
                    await until_told(stop, LOOK_S)
                except DatabaseRefused as error:
                    await self._away.wait(error, stop)
            return None
        finally:
            await asyncio.to_thread(self._close)

    def _step(self) -> Lead | None:
        try:
            with worded(self._config.place), files_differ(self._config.data_dir):
                return self._look()
        except DBAPIError as error:
            self._close()
            refusal = refusal_of(error, self._config.place)
            if refusal is None:
                raise
            raise refusal from error
        except DatabaseRefused:
            self._close()
            raise

    def _look(self) -> Lead | None:
        """Take what is new, and the lead if it is free."""
        leadership, follower = self._opened()
        is_level = self._take_in(follower)
        leadership.follow(follower.size, follower.unfinished)
        leader = leadership.look()  # afterwards: a leader is not gone because this one was busy
        self._tell(leader)
        self._tell_unfinished(follower.unfinished)
        if not is_level or not leadership.may_take_over(leader):
            self._look_for_obstacle()
            return None
        must_be_able_to_lead(self._config.place)
        log.info("taking_over", leader=leader.who, epoch=leader.epoch + 1, records=follower.size)
        self._close_files()
        leadership.follow_no_more()
        self._leadership = None  # the lead has it from here
        try:
            return Lead.over(self._config.place, leadership, leader, self._lost)
        except LedElsewhere:
            leadership.close()
            return None

    def _take_in(self, follower: "Follower") -> bool:
        """Take what is new, for some time at most. Returns whether all is taken but what was written just now."""
        ends_s = time.monotonic() + _SLICE_S
        while (more := follower.step()) and time.monotonic() < ends_s:
            pass
        assert self._table is not None
        is_level = not more or self._table.end() - follower.size < _JUST_WRITTEN
        if is_level:
            self._level_s = time.monotonic()
        self._records = follower.size
        return is_level

    def _opened(self) -> "tuple[Leadership, Follower]":
        config, place = self._config, self._config.place
        if self._leadership is None:
            refuse_unusable(place)
            self._leadership = enrolled(config)
        if self._follower is None:
            self._table = lines_of(place, f"answerable/{place.shard}/standby")
            self._follower = open_follower(config.data_dir, self._table)
        return self._leadership, self._follower

    def _look_for_obstacle(self) -> None:
        now_s = time.monotonic()
        if now_s - self._checked_s < _CHECK_S:
            return
        found, self._checked_s = obstacle_to_leading(self._config.place), now_s
        if found and found != self._obstacle:
            log.error("may_not_lead", why=found)
        self._obstacle = found

    def _tell(self, leader: "Leader") -> None:
        if self._away.is_over() or leader.who != self._leader:
            log.info("standing_by", leader=leader.who, epoch=leader.epoch)
        self._leader = leader.who

    def _tell_unfinished(self, why: str) -> None:
        if why and why != self._unfinished:
            log.error("erasure_unfinished", why=why)
        self._unfinished = why

    def _close_files(self) -> None:
        if self._follower is not None:
            self._follower.close()
        if self._table is not None:
            self._table.close()
        self._follower, self._table = None, None

    def _close(self) -> None:
        self._close_files()
        if self._leadership is not None:
            try:
                self._leadership.follow_no_more()
            except Exception as error:
                if not is_of_driver(error):
                    raise
            self._leadership.close()
            self._leadership = None
