import pytest

from jaxgan.host.errors import UserError, flag_form, named, one_line, printable


def test_what_is_quoted_is_printable_and_short():
    assert printable(" a\nb\x1b[31m ") == "a?b?[31m"
    assert printable("猫 é") == "猫 é"
    assert len(printable("x" * 201)) == 200 and printable("x" * 201).endswith("x...")
    assert printable("x" * 200) == "x" * 200


def test_a_message_is_one_line_and_keeps_its_beginning_and_its_end():
    assert one_line("cannot read\n  the\tfile\x00") == "cannot read the file?"
    assert one_line("x" * 1000) == "x" * 1000
    long = one_line("begin" + "x" * 2000 + "end")
    assert len(long) == 1000 and long.startswith("beginx") and long.endswith("xend") and "x ... x" in long
    assert one_line("0123456789" * 5, 20) == "0123456789 ... 56789"


def test_an_error_is_named_by_its_kind():
    assert named(OSError("disk\nfull")) == "OSError: disk full"
    assert named(KeyboardInterrupt()) == "KeyboardInterrupt"
    assert named(UserError("x" * 400)).startswith("UserError: xxx")
    assert len(named(ValueError("x" * 400))) == len("ValueError: ") + 300


@pytest.mark.parametrize(
    ("message", "argument"),
    [
        ("--batch_size=3: must be even; raise --batch_size", "batch_size=3: must be even; raise batch_size"),
        ("--loss=hinge: give --[no]matching_aware too", "loss=hinge: give matching_aware=False too"),
        ("too long (--noise is a flag)", "too long (noise is a flag)"),
        ("/a--b/--c: no such folder; 3 -- 4, x=--y", "/a--b/--c: no such folder; 3 -- 4, x=--y"),
    ],
)
def test_a_program_sees_arguments_and_a_command_flags(message, argument):
    error = UserError(message)
    assert str(error) == argument
    assert flag_form(error) == error.as_flags == message.replace("[no]", "no")
    assert named(error) == f"UserError: {error.as_flags}"


def test_the_form_of_other_errors_is_their_message():
    assert flag_form(ValueError("--x")) == "--x"
