import json
import math
import os

import numpy as np
import pytest
from PIL import Image
from tensorboardX.proto.event_pb2 import Event
from tensorboardX.record_writer import masked_crc32c

from experiments import inspect
from jaxgan.host.errors import UserError
from jaxgan.training.files import metrics_log, tensorboard
from jaxgan.training.files.metrics_log import MetricsLog
from jaxgan.training.files.tensorboard import EventLog, read_records


def write_lines(path, *steps, last_step=0):
    with MetricsLog(path, last_step) as log:
        for step in steps:
            log.append(step, {"d_loss": step / 3})


def test_a_line_is_json_with_the_step_first(tmp_path):
    path = tmp_path / "metrics.jsonl"
    with MetricsLog(path, 0) as log:
        assert log.append(100, {"d_loss": np.float32(0.5), "g_loss": 2}) == {"step": 100, "d_loss": 0.5, "g_loss": 2.0}
        assert path.read_text() == '{"step": 100, "d_loss": 0.5, "g_loss": 2.0}\n'  # Readable while it is open.
        log.sync()


def test_only_finite_numbers_are_written(tmp_path):
    path = tmp_path / "metrics.jsonl"
    with MetricsLog(path, 0) as log:
        log.append(1, {"d_loss": math.nan, "g_loss": 1.0, "d_real": math.inf})
    assert json.loads(path.read_text()) == {"step": 1, "g_loss": 1.0, "non_finite": ["d_loss", "d_real"]}


def test_resuming_cuts_off_what_lies_beyond(tmp_path):
    path = tmp_path / "metrics.jsonl"
    write_lines(path, 1, 2, 3)
    before = path.read_text()
    write_lines(path, 3, last_step=2)
    assert path.read_text() == before
    write_lines(path, last_step=0)
    assert path.read_text() == ""
    assert os.listdir(tmp_path) == ["metrics.jsonl"]


def test_resuming_without_anything_beyond_leaves_the_file_alone(tmp_path):
    path = tmp_path / "metrics.jsonl"
    write_lines(path, 1, 2)
    inode = path.stat().st_ino
    write_lines(path, 3, last_step=2)
    assert path.stat().st_ino == inode
    assert [line["step"] for line in metrics_log.read(path)] == [1, 2, 3]


@pytest.mark.parametrize("cut", range(1, 25))
def test_a_torn_last_line_is_passed_over_and_cut_off(tmp_path, cut):
    path = tmp_path / "metrics.jsonl"
    write_lines(path, 1, 2)
    whole = path.read_bytes()
    os.truncate(path, len(whole) - cut)
    assert [line["step"] for line in metrics_log.read(path)] == ([1, 2] if cut == 1 else [1])
    write_lines(path, last_step=1)
    assert path.read_bytes() == whole[: whole.index(b"\n") + 1]


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"\x00" * 9,
        b"[1]",
        b'{"step": true}',
        b'{"d_loss": 1}',
        b'{"step": 1, "d_loss": NaN}',
        b"[" * 100000,
        b"\xff",
    ],
)
def test_what_is_no_line_is_passed_over(tmp_path, text):
    path = tmp_path / "metrics.jsonl"
    path.write_bytes(b'{"step": 1}\n' + text + b'\n{"step": 2}\n')
    assert metrics_log.read(path) == [{"step": 1}, {"step": 2}]


def test_the_step_before_all_others_may_have_a_line(tmp_path):
    path = tmp_path / "metrics.jsonl"
    write_lines(path, 0, 1)
    assert [line["step"] for line in metrics_log.read(path)] == [0, 1]


def test_no_file_has_no_lines(tmp_path):
    assert metrics_log.read(tmp_path / "none") == []


# TensorBoard


def write_events(directory, *steps, last_step=0):
    with EventLog(directory, last_step) as log:
        for step in steps:
            log.add_scalars(step, {"d_loss": step / 2, "g_loss": 1.0})
            log.add_image(step, "samples", np.full((4, 6, 3), step, np.uint8))


def events_of(directory):
    [path] = directory.iterdir()
    return [Event.FromString(record) for record in read_records(path)]


def test_events_carry_scalars_and_pictures(tmp_path):
    write_events(tmp_path / "tensorboard", 7)
    first, scalars, picture = events_of(tmp_path / "tensorboard")
    assert first.file_version == "brain.Event:2"
    assert scalars.step == picture.step == 7
    assert {value.tag: value.simple_value for value in scalars.summary.value} == {"d_loss": 3.5, "g_loss": 1.0}
    [value] = picture.summary.value
    import io

    decoded = np.asarray(Image.open(io.BytesIO(value.image.encoded_image_string)))
    np.testing.assert_array_equal(decoded, np.full((4, 6, 3), 7, np.uint8))
    assert value.tag == "samples"


def test_tensorflow_reads_the_same_events(tmp_path):
    tensorflow = pytest.importorskip("tensorflow")
    write_events(tmp_path, 1, 2)
    [path] = tmp_path.iterdir()
    read = [record.numpy() for record in tensorflow.data.TFRecordDataset(str(path))]
    assert read == list(read_records(path)) and len(read) == 5


def test_no_step_is_there_twice_after_a_resume(tmp_path):
    write_events(tmp_path, 1, 2, 3)
    write_events(tmp_path, 2, 3, last_step=1)
    assert [event.step for event in events_of(tmp_path)] == [0, 1, 1, 2, 2, 3, 3]


def test_a_torn_event_is_cut_off(tmp_path):
    write_events(tmp_path, 1, 2)
    [path] = tmp_path.iterdir()
    size = path.stat().st_size
    for lost in (1, 3, 5, 40):
        os.truncate(path, size - lost)
        write_events(tmp_path, last_step=1)
        assert [event.step for event in events_of(tmp_path)] == [0, 1, 1]
        write_events(tmp_path, 2, last_step=1)
        assert path.stat().st_size == size


def test_a_damaged_event_ends_the_file(tmp_path):
    write_events(tmp_path, 1, 2)
    [path] = tmp_path.iterdir()
    whole = path.read_bytes()
    head = len(whole) - 16 - len(list(read_records(path))[-1])  # of the last record
    for place in (head, head + 9, head + 12):  # its length, the checksum of that, the first field
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 7]) + whole[place + 1 :])
        write_events(tmp_path, last_step=2)
        assert path.read_bytes() == whole[:head]


def test_opening_a_file_costs_no_checksum_of_what_stays(tmp_path, monkeypatch):
    write_events(tmp_path, 1, 2, 3)
    [path] = tmp_path.iterdir()
    whole, inode, lengths = path.read_bytes(), path.stat().st_ino, []
    monkeypatch.setattr(tensorboard, "masked_crc32c", lambda data: lengths.append(len(data)) or masked_crc32c(data))
    write_events(tmp_path, last_step=3)
    assert (path.read_bytes(), path.stat().st_ino) == (whole, inode)
    write_events(tmp_path, last_step=2)
    assert path.stat().st_ino == inode and set(lengths) == {8}
    assert [event.step for event in events_of(tmp_path)] == [0, 1, 1, 2, 2]


def test_a_log_becomes_a_table(tmp_path):
    with MetricsLog(tmp_path / "metrics.jsonl", 0) as log:
        log.append(10, {"d_loss": 0.5, "g_loss": math.nan})
        log.append(20, {"d_loss": 0.25, "g_loss": 2, "fid, of 2,000": 7.5})
    assert inspect.write_metrics(str(tmp_path), tmp_path / "metrics.csv").startswith("2 steps of ")
    assert (tmp_path / "metrics.csv").read_text() == 'step,d_loss,g_loss,"fid, of 2,000"\n10,0.5,,\n20,0.25,2.0,7.5\n'
    with pytest.raises(UserError, match=r"metrics=\S+: cannot be written"):
        inspect.write_metrics(str(tmp_path), tmp_path)
    with pytest.raises(UserError, match="has no log of metrics"):
        inspect.write_metrics(str(tmp_path / "nowhere"), tmp_path / "metrics.csv")
