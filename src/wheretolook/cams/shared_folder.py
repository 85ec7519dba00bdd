"""One folder that several processes fill together, and that appears under its name when all are done."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from wheretolook.cams.journal import discard_unless_begun, prepare_state
from wheretolook.data.atomic import move_folder
from wheretolook.data.written_folder import check_replaceable
from wheretolook.execution.ranks import Ranks
from wheretolook.execution.state_key import remove_states


@contextmanager
def shared_state(state: Path, path: Path, ranks: Ranks, create: Callable[[Path], None]) -> Iterator[Path]:
    """One folder for all ranks to fill; it replaces `path` when every rank has come to the end of the block.

    Yields:
        Where it is until then: `maps` in the state's folder.

    Args:
        state: the state's folder, where rank 0 says it is; what a killed run left there is taken up again.
        path: the final name.
        ranks: the processes that share the work.
        create: fills a new folder with what all ranks then write into.
    """
    # As rank 0 says: devices may differ between ranks, and with them what a state is named by.
    state = ranks.gathered(state)[0]
    try:
        if ranks.leads:
            check_replaceable(path)
            prepare_state(state, create)
        ranks.wait()
        yield state / "maps"
        ranks.wait()
        if ranks.leads:
            move_folder(state / "maps", path)
            remove_states(state.parent.parent, state.parent.name)
        ranks.wait()
    finally:
        if ranks.leads:
            discard_unless_begun(state)
