"""What a run tells TensorBoard and Weights & Biases: in groups, with its settings, and never to its own harm."""

import importlib
import json
import sys
import types

import numpy as np
import pytest
from tensorboardX.proto.event_pb2 import Event
from tensorboardX.proto.plugin_hparams_pb2 import HParamsPluginData
from test_training import first_state, make_job, run

from experiments.run import start
from experiments.run.recipes import resolve
from jaxgan.host.errors import UserError
from jaxgan.systems.system import Panel, Report
from jaxgan.training.distributed.processes import Processes
from jaxgan.training.files import recording
from jaxgan.training.files.tensorboard import read_records
from jaxgan.training.files.tracking import WandbTracker
from jaxgan.training.files.workdir import Workdir
from jaxgan.training.trainer import Schedule, train

SETTINGS = {"model": "mlp_a", "batch_size": 64, "shuffle": True, "rate": 2e-4, "limit": None, "sizes": (4, 8)}
CURVES = {f"losses/{name}" for name in ("d_loss", "g_loss")} | {f"training/{name}" for name in ("d_real", "d_fake")}


def values_of(directory):
    [path] = (directory / "tensorboard").iterdir()
    return [value for record in read_records(path) for value in Event.FromString(record).summary.value]


def described(directory, steps=20):
    with Workdir(directory) as workdir:
        workdir.flags.write_text("--model=mlp_a\n--batch_size=64\n")
    run(directory, steps=steps, job=make_job(settings=SETTINGS))
    return directory


# TensorBoard


def test_terms_of_losses_stand_apart_from_everything_else():
    panels = (
        Panel("mean absolute difference", {"cycle": ""}), Panel("nats per picture", {"kl": ""}),
        Panel("discriminator's loss", {"d": ""}), Panel("share", {"accuracy": ""}),
    )  # fmt: skip
    groups = recording.groups_of(Report(panels))
    assert groups == {"cycle": "losses", "kl": "losses", "d": "losses", "accuracy": "training"}


def test_tensorboard_has_groups_flags_and_hyperparameters_once(tmp_path):
    described(tmp_path, steps=10)
    described(tmp_path)  # goes on
    values = values_of(tmp_path)
    assert {value.tag for value in values if value.tag.startswith(("losses/", "training/"))} == CURVES
    assert {value.tag for value in values if value.tag.startswith("speed/")} == {
        "speed/images_per_sec",
        "speed/data_wait",
    }
    [text] = [value.tensor.string_val[0] for value in values if value.tag == "flags/text_summary"]
    assert text == b"    --model=mlp_a\n    --batch_size=64"
    [session] = [value for value in values if value.tag == "_hparams_/session_start_info"]
    found = HParamsPluginData.FromString(session.metadata.plugin_data.content).session_start_info.hparams
    assert set(found) == set(SETTINGS) - {"limit"}
    assert found["model"].string_value == "mlp_a" and found["batch_size"].number_value == 64
    assert found["shuffle"].bool_value is True and found["sizes"].string_value == "(4, 8)"


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
def test_tensorboard_itself_finds_the_hyperparameters_with_their_metrics(tmp_path):
    pytest.importorskip("tensorboard", reason="needs TensorBoard: pip install tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from tensorboard.plugins.hparams.metadata import parse_experiment_plugin_data, parse_session_start_info_plugin_data

    described(tmp_path)
    events = EventAccumulator(str(tmp_path / "tensorboard"))
    events.Reload()
    assert set(events.Tags()["scalars"]) >= CURVES and events.Tags()["images"] == ["samples"]
    assert [event.step for event in events.Scalars("losses/d_loss")] == [5, 10, 15, 20]
    plugin = events.summary_metadata
    experiment = parse_experiment_plugin_data(plugin["_hparams_/experiment"].plugin_data.content)
    assert {info.name for info in experiment.hparam_infos} == set(SETTINGS) - {"limit"}
    assert {info.name.tag for info in experiment.metric_infos} >= CURVES | {"speed/images_per_sec", "scores/fid"}
    session = parse_session_start_info_plugin_data(plugin["_hparams_/session_start_info"].plugin_data.content)
    assert session.hparams["rate"].number_value == 2e-4
    assert events.Tensors("flags/text_summary")[0].step == 0


# Weights & Biases


class Client(types.ModuleType):
    """Stands for the public client: notes what it is told, or fails."""

    def __init__(self, fails=()):
        super().__init__("wandb")
        self.fails, self.sessions, self.lines, self.ended, self.step_metrics = set(fails), [], [], [], []

    def login(self, timeout):
        self._fail("login")

    def init(self, **options):
        self._fail("init")
        self.sessions.append(options)
        return types.SimpleNamespace(log=self._log, define_metric=self._define, finish=self._finish)

    def Image(self, image):
        return ("image", image.shape, image.dtype)

    def _define(self, name, step_metric):
        self.step_metrics.append((name, step_metric))

    def _log(self, values):
        self._fail("log")
        self.lines.append(values)

    def _finish(self, exit_code):
        self._fail("finish")
        self.ended.append(exit_code)

    def _fail(self, what):
        if what in self.fails:
            raise ConnectionError("no network")


@pytest.fixture
def client(monkeypatch):
    def use(*fails):
        made = Client(fails)
        monkeypatch.setitem(sys.modules, "wandb", made)
        return made

    return use


def tracked(directory, steps, **changes):
    with Workdir(directory) as workdir, WandbTracker("faces", workdir, SETTINGS) as tracker:
        schedule = Schedule(steps, steps_per_call=4, log_every=5, sample_every=8, checkpoint_every=5, **changes)
        return train(first_state(), make_job(tracker=tracker), schedule, workdir)


def test_the_client_gets_settings_scalars_and_grids_at_their_steps(client, tmp_path):
    wandb = client()
    tracked(tmp_path / "mine", 20)
    [session] = wandb.sessions
    assert (session["project"], session["config"], session["name"]) == ("faces", SETTINGS, "mine")
    assert session["dir"] == str(tmp_path / "mine") and wandb.step_metrics == [("*", "step")]
    scalars = [line for line in wandb.lines if "samples" not in line]
    assert [line["step"] for line in scalars] == [5, 10, 15, 20]
    assert set(scalars[0]) == {"step", "speed/images_per_sec", "speed/data_wait"} | CURVES
    logged = [json.loads(line) for line in (tmp_path / "mine" / "metrics.jsonl").read_text().splitlines()]
    assert [line["losses/d_loss"] for line in scalars] == [line["d_loss"] for line in logged]
    grids = [line for line in wandb.lines if "samples" in line]
    assert [line["step"] for line in grids] == [8, 16, 20]
    assert grids[0]["samples"] == ("image", (32, 32, 3), np.uint8)
    assert wandb.ended == [0]


def test_the_flag_gives_the_client_the_resolved_recipe(client, tmp_path, monkeypatch):
    wandb = client()
    given = {"model": "mlp_b", "wandb_project": "faces", "num_examples": 4, "image_size": 16, "batch_size": 4}
    recipe = resolve({**given, "parallel": "jit", "workdir": str(tmp_path / "run")}, ("mlp_b",))

    def train_system(*arguments, tracker, settings, **options):
        assert settings == recipe.values_to_share
        tracker.add_scalars(1, {"losses/d_loss": 0.5})

    monkeypatch.setattr(start, "train_system", train_system)
    start.train(recipe, Processes())
    [session] = wandb.sessions
    assert (session["project"], session["config"]) == ("faces", recipe.values_to_share)
    assert session["config"]["model"] == "mlp_b" and session["config"]["beta1"] == recipe.beta1
    assert not {"workdir", "data_dir", "wandb_project"} & set(session["config"])
    assert wandb.lines == [{"step": 1, "losses/d_loss": 0.5}]


def test_a_resumed_run_is_the_same_one_there(client, tmp_path):
    first = client()
    tracked(tmp_path / "a", 10)
    second = client()
    tracked(tmp_path / "a", 20)
    tracked(tmp_path / "b", 5)
    ids = [session["id"] for session in (*first.sessions, *second.sessions)]
    assert ids[0] == ids[1] != ids[2] and all(session["resume"] == "allow" for session in second.sessions)
    assert min(line["step"] for line in second.lines[:2]) > 10


@pytest.mark.parametrize("fails", ["login", "init", "log", "finish"])
def test_a_client_that_fails_stops_no_training(client, tmp_path, capfd, fails):
    client(fails)
    tracked(tmp_path, 20)
    said = capfd.readouterr().err
    assert said.count("Weights & Biases: ConnectionError: no network. Training goes on without it.") == 1
    assert len((tmp_path / "metrics.jsonl").read_text().splitlines()) == 4


def test_nothing_is_begun_before_there_is_something_to_log(client, tmp_path):
    wandb = client()
    with pytest.raises(RuntimeError), Workdir(tmp_path) as workdir, WandbTracker("faces", workdir, SETTINGS):
        raise RuntimeError
    assert not wandb.sessions and not (tmp_path / "wandb").exists()


@pytest.mark.parametrize("found", [None, types.ModuleType("wandb")], ids=["nothing", "a folder of that name"])
def test_without_the_client_a_line_says_what_to_install(monkeypatch, tmp_path, found):
    monkeypatch.setitem(sys.modules, "wandb", found)
    with pytest.raises(UserError, match=r"wandb_project=faces: needs the client; run pip install 'jaxgan\[wandb\]'"):
        WandbTracker("faces", Workdir(tmp_path), {})


@pytest.mark.parametrize("error", [TypeError("another protobuf"), ModuleNotFoundError("no yaml", name="yaml")])
def test_a_client_that_cannot_be_loaded_is_told_in_a_line(monkeypatch, tmp_path, error):
    def fail(name):
        raise error

    monkeypatch.setattr(importlib, "import_module", fail)
    with pytest.raises(
        UserError, match=r"wandb_project=faces: the client cannot be loaded .*wandb_project=none trains"
    ):
        WandbTracker("faces", Workdir(tmp_path), {})


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
def test_the_public_client_logs_without_a_network(monkeypatch, tmp_path):
    pytest.importorskip("wandb", reason="needs the client: pip install 'jaxgan[wandb]'")
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_SILENT", "true")
    tracked(tmp_path, 10)
    tracked(tmp_path, 20)
    sessions = sorted((tmp_path / "wandb").glob("offline-run-*"))
    [identity] = {path.name.rsplit("-", 1)[1] for path in sessions}
    assert len(sessions) == 2 and identity == (tmp_path / "wandb" / "id.txt").read_text()
    assert all(list(path.glob("*.wandb")) for path in sessions)
    pictures = [path.name for path in (tmp_path / "wandb").rglob("samples_*.png")]
    assert len(pictures) == 4  # of the steps 8, 10, 16 and 20
