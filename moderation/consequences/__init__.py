"""Actions and notifications that facts ask for: the same facts always give the same.

Rules kept here:
- The room is not told of what concerns a person.

Left to others: the words (`bot/texts/notifications.py`), the sending (`bot/outbox/dispatcher.py`,
`bot/effects/send_notice.py`).
"""

from .derive import at_once as at_once
from .derive import consequences as consequences
from .known import Consequence as Consequence
from .known import Known as Known
from .known import Reporters as Reporters
from .known import RoomsOf as RoomsOf
from .people import ABOUT_THEM as ABOUT_THEM
