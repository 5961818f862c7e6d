"""Work that may kill its process."""

import os
import signal

from service.offline.archive.alone import Died, each_alone


def halved(number: int) -> int:
    if number % 2:
        os.kill(os.getpid(), signal.SIGKILL)
    return number // 2


def test_an_item_that_kills_its_process_takes_no_other_with_it() -> None:
    assert [*each_alone(halved, [2, 3, 4])] == [1, Died(-signal.SIGKILL), 2]
