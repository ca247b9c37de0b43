"""Weights travel both ways exactly, and whatever does not fit is named."""

import jax
import numpy as np
import pytest
from reference.cases import CASES, random_variables

from jaxgan import interop, models
from jaxgan.host.errors import UserError
from jaxgan.interop import definition


def narrow(name):
    return models.build(name, **CASES[name].narrow)


def torch_like(module, dtype=np.float32):
    """A state dict of this network as PyTorch would name and shape it, all zeros."""
    state = {}
    for index, layer in enumerate(definition.layers(module)):
        for entry in layer:
            name = {"kernel": "weight", "scale": "weight", "mean": "running_mean", "var": "running_var"}.get(
                entry.name, "bias"
            )
            state[f"main.{index}.{name}"] = np.zeros(entry.shape[::-1] if len(entry.shape) == 2 else entry.shape, dtype)
            if len(entry.shape) == 4:
                height, width, big, small = entry.shape
                state[f"main.{index}.{name}"] = np.zeros((small, big, height, width), dtype)
        if layer[-1].name == "var":
            state[f"main.{index}.num_batches_tracked"] = np.array(7 + index)
    return state


def assert_equal_trees(first, second):
    assert jax.tree.structure(first) == jax.tree.structure(second)
    jax.tree.map(np.testing.assert_array_equal, first, second)
    assert all(jax.tree.leaves(jax.tree.map(lambda a, b: a.dtype == b.dtype, first, second)))


@pytest.mark.parametrize("player", ["generator", "discriminator"])
@pytest.mark.parametrize(("name", "dtype"), [*((name, np.float32) for name in CASES), ("cgan_mnist", np.float64)])
def test_round_trips_are_exact(name, player, dtype):
    module = getattr(narrow(name), player)
    variables = random_variables(module, dtype=dtype)
    like = torch_like(module, dtype)
    state = interop.torch.export_state_dict(module, variables, like=like)
    assert list(state) == list(like)
    assert_equal_trees(interop.torch.import_variables(module, state), variables)
    again = interop.torch.export_state_dict(module, interop.torch.import_variables(module, state), like=state)
    assert_equal_trees(again, state)
    weights = interop.keras.export_weights(module, variables)
    assert_equal_trees(interop.keras.import_variables(module, weights), variables)


@pytest.mark.parametrize("name", ["cgan_mnist", "wgan_anime"])
def test_the_tree_is_that_of_init(name):
    module = narrow(name).generator
    fresh = jax.eval_shape(lambda key: models.init(module, key), jax.random.key(0))
    imported = interop.torch.import_variables(module, torch_like(module))
    assert jax.tree.map(np.shape, imported) == jax.tree.map(np.shape, fresh)


def test_layouts_by_hand():
    """A number is looked up at its PyTorch and its own index."""
    gan = narrow("dcgan_mnist_a")
    state = torch_like(gan.generator)
    rng = np.random.default_rng(0)
    state = {
        name: rng.standard_normal(values.shape).astype("f4") for name, values in state.items() if "num_b" not in name
    }
    params = interop.torch.import_variables(gan.generator, state)["params"]
    linear, transposed = state["main.0.weight"], state["main.2.weight"]  # (out, in) and (in, out, height, width)
    assert params["Dense_0"]["kernel"][3, 11] == linear[11, 3]
    assert params["ConvTranspose_0"]["kernel"][0, 2, 1, 5] == transposed[5, 1, 0, 2]
    weights = interop.torch.import_variables(
        gan.discriminator, torch_like(gan.discriminator) | {"main.1.weight": _ramp(6, 3, 3, 3)}
    )
    assert (
        weights["params"]["Conv_1"]["kernel"][0, 1, 2, 5] == _ramp(6, 3, 3, 3)[5, 2, 0, 1]
    )  # PyTorch: (out, in, height, width)


def _ramp(*shape):
    return np.arange(np.prod(shape), dtype=np.float32).reshape(shape)


def test_order_is_that_of_definition_also_past_ten_layers():
    """JAX sorts keys, and "Dense_10" comes before "Dense_2"."""
    from flax import linen as nn

    from jaxgan.models import Network
    from jaxgan.models.layers import Dense

    class Deep(Network):
        @property
        def input_shapes(self):
            return ((2,),)

        @nn.compact
        def __call__(self, x, *, train):
            for width in range(3, 15):
                x = Dense(width)(x)
            return x

    assert [layer[0].shape[1] for layer in definition.layers(Deep())] == list(range(3, 15))


def test_counters_are_kept_from_the_example():
    module = narrow("dcgan_mnist_a").generator
    like = torch_like(module)
    state = interop.torch.export_state_dict(module, random_variables(module), like=like)
    assert state["main.1.num_batches_tracked"] == 8
    without = {name: values for name, values in like.items() if "num_batches" not in name}
    assert_equal_trees(interop.torch.import_variables(module, without), interop.torch.import_variables(module, like))


def test_what_is_imported_and_exported_is_a_copy():
    module = narrow("dcgan_mnist_a").generator  # which counts batches
    state = torch_like(module)
    weights = [np.zeros(entry.shape, "f4") for layer in definition.layers(module) for entry in layer]
    imported = [interop.torch.import_variables(module, state), interop.keras.import_variables(module, weights)]
    for values in [*state.values(), *weights]:
        values += 1
    assert all((leaf == 0).all() for leaf in jax.tree.leaves(imported))
    for values in interop.keras.export_weights(module, imported[1]):
        values += 1
    like = torch_like(module)
    for values in interop.torch.export_state_dict(module, imported[1], like=like).values():
        values += 1
    assert all((leaf == 0).all() for leaf in jax.tree.leaves(imported))
    assert all((values == torch_like(module)[name]).all() for name, values in like.items())  # counters too


def _replace(state, name, values):
    return {**state, name: values}


def _without(state, name):
    return {key: values for key, values in state.items() if key != name}


def _renamed(state, name, other):
    return {other if key == name else key: values for key, values in state.items()}


DAMAGES = {
    "half of a layer": (lambda state: _renamed(state, "main.0.bias", "other.bias"), r"other\.bias .* needs the bias"),
    "the counter of none": (
        lambda state: _renamed(state, "main.1.num_batches_tracked", "other.num_batches_tracked"),
        r"other\.num_batches_tracked",
    ),
    "misshapen": (lambda state: _replace(state, "main.0.weight", np.zeros((5, 1), "f4")), r"main\.0\.weight"),
    "missing at the end": (lambda state: _without(state, "main.6.bias"), r"bias .* of params/ConvTranspose_2/bias"),
    "missing in the middle": (
        lambda state: _without(state, "main.1.running_mean"),
        r"main\.1\.running_var .* running_mean",
    ),
    "a bias missing": (
        lambda state: _without(state, "main.2.bias"),
        r"main\.3\.weight .* of params/ConvTranspose_0/bias",
    ),
    "left over": (lambda state: {**state, "main.9.weight": np.zeros(3, "f4")}, r"no place for main\.9\.weight"),
    "a stray counter": (
        lambda state: {**state, "main.6.num_batches_tracked": np.array(1)},
        r"main\.6\.num_batches_tracked",
    ),
    "another order": (lambda state: dict(sorted(state.items())), r"main\.0\.bias"),
    "not finite": (
        lambda state: _replace(state, "main.2.bias", np.full(4, np.nan, "f4")),
        r"main\.2\.bias .* not finite",
    ),
    "objects": (lambda state: _replace(state, "main.2.bias", np.array([None] * 4)), r"main\.2\.bias .* object"),
    "integers": (lambda state: _replace(state, "main.2.bias", np.zeros(4, int)), r"main\.2\.bias .* int64"),
    "ragged": (lambda state: _replace(state, "main.2.bias", [[1.0], [1.0, 2.0]]), r"main\.2\.bias is no array"),
    "empty": (lambda _state: {}, r"ends before the weight .* of params/Dense_0/kernel"),
}


def test_variables_that_are_no_dictionaries_are_refused():
    module = narrow("mlp_b").generator
    with pytest.raises(UserError, match="params are NoneType, not a dictionary of arrays"):
        interop.keras.export_weights(module, {"params": None})


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_state_dict_that_does_not_fit_is_refused_by_name(damage):
    module = narrow("dcgan_mnist_a").generator
    change, message = DAMAGES[damage]
    with pytest.raises(UserError, match=message):
        interop.torch.import_variables(module, change(torch_like(module)))


def test_what_holds_a_state_dict_says_which_key_to_take():
    module = narrow("dcgan_mnist_a").generator
    state = torch_like(module)
    optimiser = {"state": {0: {"step": 1}}, "param_groups": []}

    class Module:
        def state_dict(self):
            return state

        def get_weights(self):
            return []

    for given, where in (
        ({"model": state}, "checkpoint['model']"),
        ({"epoch": 3, "netG": state, "netD": state}, "checkpoint['netG'] or checkpoint['netD']"),
        ({"optimizer": optimiser, "ema": state}, "checkpoint['ema']"),
        ({0: state}, "checkpoint[0]"),
        ({"nets": {"generator": state, "step": 3}, "args": {"lr": 1}}, "checkpoint['nets']['generator']"),
        ({"net": Module()}, "checkpoint['net'].state_dict()"),
        ({"args": {"lr": 1}}, "checkpoint['args']"),
    ):
        with pytest.raises(UserError) as caught:
            interop.torch.import_variables(module, given)
        assert str(caught.value).endswith(f"take it out first, as {where}")
    with pytest.raises(UserError, match=r"this is a Module; give its state_dict\(\)"):
        interop.torch.import_variables(module, Module())
    with pytest.raises(UserError, match=r"this is a list; give what torch\.load"):
        interop.torch.import_variables(module, [state])
    with pytest.raises(UserError, match=r"this is a Module; give its get_weights\(\)"):
        interop.keras.import_variables(module, Module())


def test_the_state_dict_of_another_network_is_refused():
    gan = narrow("dcgan_mnist_a")
    with pytest.raises(UserError, match=r"main\.0\.weight"):
        interop.torch.import_variables(gan.generator, torch_like(gan.discriminator))


def test_lists_that_do_not_fit_are_refused_by_place():
    module = narrow("dcgan_mnist_keras").generator
    weights = interop.keras.export_weights(module, random_variables(module))
    with pytest.raises(UserError, match=r"before weight 9: params/ConvTranspose_1/bias"):
        interop.keras.import_variables(module, weights[:-1])
    with pytest.raises(UserError, match=r"no place for what the list goes on with: \(1,\)"):
        interop.keras.import_variables(module, [*weights, weights[-1]])
    with pytest.raises(UserError, match=r"weight 0 \(params/Dense_0/kernel\) has the shape"):
        interop.keras.import_variables(module, [weights[0].T, *weights[1:]])


def test_variables_of_another_network_are_refused():
    gan = narrow("dcgan_mnist_a")
    variables = random_variables(gan.generator)
    with pytest.raises(UserError, match="lack params/Conv_0/kernel"):
        interop.torch.export_state_dict(gan.discriminator, variables, like=torch_like(gan.discriminator))
    variables["params"]["Extra_0"] = {"kernel": np.zeros(3, "f4")}
    with pytest.raises(UserError, match="no params/Extra_0/kernel"):
        interop.keras.export_weights(gan.generator, variables)
    with pytest.raises(UserError, match=r"main\.0\.weight has the shape \(1, 1\)"):
        like = _replace(torch_like(gan.generator), "main.0.weight", np.zeros((1, 1), "f4"))
        interop.torch.export_state_dict(gan.generator, random_variables(gan.generator), like=like)


def test_neither_framework_is_imported():
    import subprocess
    import sys

    program = "import sys, jaxgan.interop; sys.exit(bool({'torch', 'keras', 'tensorflow'} & set(sys.modules)))"
    subprocess.run([sys.executable, "-c", program], check=True, cwd=__file__.rpartition("/tests/")[0])
