import io

import pytest
from rich.console import Console

from heedful.training import display
from heedful.training.display import Display, duration, shown


def plain() -> tuple[Display, io.StringIO]:
    out = io.StringIO()
    return Display(Console(file=out, width=80)), out


def terminal() -> tuple[Display, io.StringIO]:
    out = io.StringIO()
    return Display(Console(file=out, width=100, force_terminal=True, color_system=None)), out


def test_a_sentence_is_never_cut_and_brackets_are_text() -> None:
    shows, out = plain()
    sentence = "runs/[bold]/checkpoint " * 20
    shows.say(sentence)
    assert out.getvalue() == sentence + "\n"


def test_a_plain_log_gets_a_line_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    monkeypatch.setattr(display.time, "monotonic", lambda: now)
    shows, out = plain()
    with shows.bar("sft", 1000, unit="steps") as bar:
        for _ in range(100):
            now += 1.0
            bar.advance(loss=now / 10)
    lines = out.getvalue().splitlines()
    assert len(lines) == 6
    assert lines[0] == "  sft  16/1,000 steps  loss 1.6  (16 s)"


def test_the_last_numbers_stay_behind_once() -> None:
    shows, out = plain()
    with shows.bar("sft", 2) as bar:
        bar.advance(loss=2.0)
        bar.advance(loss=1.0)
        bar.move_to(2)
    assert out.getvalue() == "  sft  2/2  loss 1  (0 s)\n"


def test_work_that_stopped_early_leaves_no_last_line() -> None:
    shows, out = plain()

    def work() -> None:
        with shows.bar("sft", 2) as bar:
            bar.advance(loss=2.0)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        work()
    assert out.getvalue() == ""


def test_a_bar_without_numbers_says_nothing_when_it_is_quick() -> None:
    shows, out = plain()
    with shows.bar("sampling", 10, unit="tokens") as bar:
        bar.advance(10)
    assert out.getvalue() == ""


def test_a_terminal_has_a_live_bar_that_goes_and_a_line_that_stays() -> None:
    shows, out = terminal()
    with shows.bar("ppo", 3, unit="iterations") as bar:
        bar.move_to(1, score=0.25)
        shows.say("Stopping after this step.")
        bar.move_to(3, score=0.5)
    text = out.getvalue()
    assert "0/3 iterations" in text or "1/3 iterations" in text
    assert "Stopping after this step." in text
    assert text.splitlines()[-1].endswith("ppo  3/3 iterations  score 0.5  (0 s)")


def test_quiet_shows_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    shows = Display(quiet=True)
    shows.say("something")
    with shows.bar("sft", 1) as bar:
        bar.advance(loss=1.0)
    assert capsys.readouterr() == ("", "")


def test_progress_goes_to_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    Display().say("something")
    assert capsys.readouterr() == ("", "something\n")


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0, "0 s"), (59.4, "59 s"), (59.6, "1 min 0 s"), (200, "3 min 20 s"), (7500, "2 h 5 min")],
)
def test_durations(seconds: float, said: str) -> None:
    assert duration(seconds) == said


def test_shown_takes_the_metrics_that_are_there() -> None:
    assert shown({"objective/kl": 0.5}, KL="objective/kl", score="objective/score") == {"KL": 0.5}


def test_a_narrow_terminal_keeps_the_bar_and_cuts_the_numbers() -> None:
    out = io.StringIO()
    shows = Display(Console(file=out, width=60, force_terminal=True, color_system=None))
    with shows.bar("PPO-ptx", 12, unit="iterations") as bar:
        bar.move_to(3, score=-0.04707, KL=0.07284, length=12.0, EOS=0.0)
    drawn = next(line for line in out.getvalue().splitlines() if "score" in line)
    assert "3/12 iterations eta" in drawn
    assert "…" in drawn
    assert "EOS" not in drawn
