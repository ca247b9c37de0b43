"""The messages of absl's flags, in words for people."""

import difflib
import re
from collections.abc import Iterable

from absl import flags

_LEARNING_RATES = ("use --generator_learning_rate and --discriminator_learning_rate", "use --learning_rate")
_BETAS = ("use --beta1 and --beta2",)
_DATA = ("use --data_dir for a folder of pictures, --dataset for a name", "use --data_dir")
_DEVICES = ("a run uses every device that JAX sees, as --parallel says; CUDA_VISIBLE_DEVICES limits them",)
_IMAGE_SIZE = ("use --image_size",)
_LATENT_DIM = ("use --latent_dim",)
_BATCH_SIZE = ("use --batch_size",)
_STEPS = ("use --steps, the total number of generator steps", "use --steps")
_OUTPUT = ("use --out", "use --workdir")
_RESUME = (
    "the same command with the same --workdir and larger --steps or --epochs resumes a run",
    "--workdir names the run",
)
_WORKERS = ("pictures are decoded once, by as many processes as there are cores, and kept for all runs of --data_dir",)
_AVERAGE = ("use --average_decay",)
_PRECISION = ("use --precision=bfloat16",)
_PENALTY = ("use --penalty_weight",)
_STEPS_OF_A_BATCH = ("use --steps, each of which takes --batch_size pictures", "use --steps")
_CONDITIONS = ("a model of experiments.cgan takes conditions, and finds the classes in the pictures' folder",)
_WIDTHS = ("use --generator_width and --discriminator_width",)

OTHER_NAMES = {
    **dict.fromkeys(("lr", "learning_rate"), _LEARNING_RATES),
    **dict.fromkeys(("lr_g", "g_lr", "glr", "gen_lr", "generator_lr"), ("use --generator_learning_rate",)),
    **dict.fromkeys(("lr_d", "d_lr", "dlr", "disc_lr", "discriminator_lr"), ("use --discriminator_learning_rate",)),
    **dict.fromkeys(("betas", "adam_betas"), _BETAS),
    **dict.fromkeys(("b1", "beta_1", "adam_beta1"), ("use --beta1",)),
    **dict.fromkeys(("b2", "beta_2", "adam_beta2"), ("use --beta2",)),
    **dict.fromkeys(
        ("resolution", "res", "size", "img_size", "imsize", "imgsize", "crop_size", "load_size", "image_resolution"),
        _IMAGE_SIZE,
    ),
    **dict.fromkeys(("latent", "latent_size", "z_dim", "nz", "zdim", "noise_dim"), _LATENT_DIM),
    **dict.fromkeys(("dropout", "dropout_p"), ("use --dropout_rate",)),
    **dict.fromkeys(("aug", "augment", "augpipe", "diffaug", "aug_prob"), ("use --diffaugment or --ada",)),
    **dict.fromkeys(("gamma", "r1_gamma", "lambda_gp", "gp_weight", "gp_lambda", "lambda_r1"), _PENALTY),
    **dict.fromkeys(("gp", "r1", "gradient_penalty", "use_gp"), ("use --penalty",)),
    **dict.fromkeys(("gan_mode", "gan_type", "loss_type", "criterion", "adv_loss"), ("use --loss",)),
    **dict.fromkeys(("sn", "spectral", "use_sn"), ("use --spectral_norm",)),
    **dict.fromkeys(("pretrained", "init", "transfer", "finetune", "resume_pkl", "warm_start"), ("use --init_from",)),
    **dict.fromkeys(("save_best", "best", "best_metric", "monitor"), ("use --keep_best", "use --best_of")),
    **dict.fromkeys(("metrics", "eval_every", "eval_freq", "eval_interval", "fid_every"), ("use --evaluate_every",)),
    **dict.fromkeys(("log_interval", "log_freq", "print_freq", "print_every", "logging_steps"), ("use --log_every",)),
    **dict.fromkeys(("sample_interval", "sample_freq", "display_freq", "vis_every"), ("use --sample_every",)),
    **dict.fromkeys(("kimg", "total_kimg", "nimg"), _STEPS_OF_A_BATCH),
    **dict.fromkeys(("conditional", "cond", "num_classes", "n_classes"), _CONDITIONS),
    **dict.fromkeys(("ngf",), ("use --generator_width",)),
    **dict.fromkeys(("ndf",), ("use --discriminator_width",)),
    **dict.fromkeys(("width", "channels", "nf", "hidden_dim"), _WIDTHS),
    **dict.fromkeys(("batch", "bs", "minibatch", "minibatch_size", "mb", "batchsize", "batch_gpu"), _BATCH_SIZE),
    **dict.fromkeys(("num_steps", "n_steps", "iterations", "iters", "niter", "max_steps", "train_steps"), _STEPS),
    **dict.fromkeys(("num_epochs", "n_epochs", "nepochs", "max_epochs"), ("use --epochs",)),
    **dict.fromkeys(("n_critic", "num_critic", "d_steps", "disc_iters", "critic_iters"), ("use --critic_steps",)),
    **dict.fromkeys(("clip_value", "clip_limit", "weight_clip"), ("use --clip",)),
    **dict.fromkeys(("ema", "ema_decay"), _AVERAGE),
    **dict.fromkeys(("fp16", "bf16", "amp", "mixed_precision", "dtype"), _PRECISION),
    **dict.fromkeys(("mirror", "hflip", "xflip"), ("use --flip",)),
    **dict.fromkeys(("data", "dataroot", "data_path", "input", "dataset_dir", "root"), _DATA),
    **dict.fromkeys(
        (
            "output",
            "outdir",
            "out",
            "out_dir",
            "output_dir",
            "save_dir",
            "exp_dir",
            "results_dir",
            "workspace",
            "logdir",
            "log_dir",
            "run_dir",
        ),
        _OUTPUT,
    ),
    **dict.fromkeys(
        ("resume", "resume_from", "continue_train", "ckpt", "checkpoint", "checkpoint_dir", "load", "network"), _RESUME
    ),
    **dict.fromkeys(
        ("snap", "save_every", "snapshot_every", "save_freq", "save_interval", "ckpt_every"),
        ("use --checkpoint_every",),
    ),
    **dict.fromkeys(("gpus", "gpu", "ngpu", "num_gpus", "device", "devices", "cuda"), _DEVICES),
    **dict.fromkeys(("workers", "num_workers", "nworkers"), _WORKERS),
    **dict.fromkeys(("n", "nsamples", "n_samples", "num_samples", "num_images"), ("use --num",)),
    **dict.fromkeys(("trunc", "truncation_psi", "psi"), ("use --std below 1, or --truncation",)),
    **dict.fromkeys(("class", "label", "cls"), ("use --condition",)),
    **dict.fromkeys(("random_seed", "manual_seed", "seeds"), ("use --seed",)),
    **dict.fromkeys(("arch", "architecture", "net", "model_name", "network_type", "cfg"), ("use --model",)),
    **dict.fromkeys(("config", "config_file", "flags", "args"), ("use --flagfile",)),
}
"""What is answered to the names that other libraries have for a flag: the first sentence whose flags all exist."""


def in_words(error: Exception, names: Iterable[str]) -> str:
    """Puts what absl says of a flag in words for people.

    Args:
      error: the exception that absl raised.
      names: the names of all flags.

    Returns:
      One line that names the flag, and what to do.
    """
    if isinstance(error, flags.UnrecognizedFlagError):
        return _no_such_flag(error.flagname, {*names, "flagfile"})
    text = str(error).removeprefix("flag ")
    text = re.sub(r"invalid literal for int\(\) with base \d+: .*", "must be a whole number", text)
    return re.sub(r"could not convert string to float: .*", "must be a number", text)


def _no_such_flag(asked: str, names: set[str]) -> str:
    name, space, value = asked.partition(" ")  # a line of a flag file
    if space and name in names:
        return f"--{asked}: write --{name}={value.strip()}"
    plain = asked.lower().replace("-", "_")
    for answer in OTHER_NAMES.get(plain, ()):
        if names.issuperset(re.findall(r"--(\w+)", answer)):
            return f"--{asked}: no such flag; {answer}; --help lists all"
    close = difflib.get_close_matches(plain, sorted(names), n=1)
    return f"--{asked}: no such flag; {f'did you mean --{close[0]}? ' if close else ''}--help lists all"
