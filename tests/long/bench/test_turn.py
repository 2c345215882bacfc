"""The benchmark of a turn, tiny: that it measures both engines. Its times decide nothing."""

import argparse

from bench import turn


def test_a_turn_is_measured_on_both_engines_by_time_and_processor() -> None:
    parser = argparse.ArgumentParser()
    turn.add_arguments(parser)
    figures = list(turn.run(parser.parse_args(["--turns", "3"])))
    assert [figure.name for figure in figures if figure.met is not None] == [*turn.KINDS]
    assert len(figures) == 4 * len(turn.KINDS) + 2
    assert all(figure.ours > 0 for figure in figures)
