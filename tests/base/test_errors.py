"""InputError: fields for code, one sentence for people."""

import pickle

from wheretolook.base.errors import InputError


def test_the_message_is_made_of_the_fields():
    error = InputError("data/cams/last-0", expected="400 maps", found="398", hint='run "dvc repro -f export@last-0"')
    assert (error.subject, error.expected, error.found) == ("data/cams/last-0", "400 maps", "398")
    assert str(error) == 'data/cams/last-0: expected 400 maps, found 398. Run "dvc repro -f export@last-0"'


def test_parts_that_were_not_given_leave_no_trace():
    assert str(InputError("the file is empty")) == "the file is empty"
    assert str(InputError("seed", found="-1", hint="use 0 or more")) == "seed: found -1. Use 0 or more."


def test_it_survives_being_sent_between_processes():
    error = pickle.loads(pickle.dumps(InputError("a", "b", "c", "d")))
    assert (error.subject, error.expected, error.found, error.hint) == ("a", "b", "c", "d")
