#!/usr/bin/env bash
# Makes the models that come with the package, experiments/pretrained/: trains, exports and measures each.
#
#     MNIST=TFDS_DIRECTORY bash benchmarks/pretrain.sh runs/pretrained
set -euo pipefail
runs=${1:?name a directory for the runs}
models=$(dirname "$0")/../experiments/pretrained
numbers=${MNIST:+--data_dir=$MNIST}

train() { # NAME COMMAND FLAGS…
  local name=$1 command=$2
  shift 2
  local pictures=
  [[ $* == *--data_dir=* ]] && pictures=$numbers
  python -m "experiments.$command" --workdir="$runs/$name" "$@"
  rm -rf "${models:?}/$name"
  python -m experiments.export --workdir="$runs/$name" --format=folder --half --out="$models/$name"
  {
    printf '\n## Scores\n\nOf the weights as they are here (`python -m experiments.evaluate --pretrained=%s --num=2000 --features=thumbnails --format=table`):\n\n```\n' "$name"
    python -m experiments.evaluate --workdir="$models/$name" --num=2000 --features=thumbnails --format=table $pictures | sed "s# of $models/$name##"
    printf '```\n'
  } >>"$models/$name/README.md"
}

train digits cgan --flagfile=cgan_mnist_better.flags $numbers
train clothes cgan --flagfile=cgan_mnist_better.flags --dataset=fashion_mnist $numbers
train tagged_faces cgan --flagfile=cgan_better.flags
train parts pix2pix --flagfile=pix2pix.flags
train faces dcgan --flagfile=faces64.flags --dataset=avatars --num_examples=10000
