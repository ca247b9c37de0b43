#!/usr/bin/env bash
# Everything worth measuring on a GPU, within ten minutes: one JSON file a part in $OUT.
#
#   benchmarks/gpu.sh                 all parts, the most telling first
#   benchmarks/gpu.sh mlp batches     these parts
#   DRY_RUN=1 benchmarks/gpu.sh       tiny sizes, on any device: whether every part runs
#
# It begins with what benchmarks.compile predicts for $TARGET (h100), so that the table at the end has both side by side.
# A part that fails or takes too long is named at the end, and the others run. Needs jaxgan's dependencies with JAX for the
# GPU, and PyTorch; TensorFlow for the streamed half of "pipeline" alone. $PYTHON names the interpreter, $LIMIT the
# seconds of all parts together, $PART_LIMIT those of one.

set -uo pipefail
cd "$(dirname "$0")/.." || exit 1

OUT=${OUT:-./gpu_results}
PYTHON=${PYTHON:-python3}
LIMIT=${LIMIT:-570}
PART_LIMIT=${PART_LIMIT:-150}
TARGET=${TARGET:-h100}
PARTS=${*:-predict_dcgan_64 predict_dcgan_512 predict_mlp dcgan_64 dcgan_64_compiled mlp batches best profile_512 parity dcgan_512_compiled dcgan_512 profile_64 startup pipeline}

export TF_CPP_MIN_LOG_LEVEL=2 TOKENIZERS_PARALLELISM=false
if [ -n "${DRY_RUN:-}" ]; then
  SIZES="--image_size=32 --generator_width=4 --discriminator_width=4"
  TURNS="--rounds=1 --turn_seconds=0.05"
  SMALL=4 LARGE=8 SWEEP=4,8 MLP_SIZES="--generator_width=4 --discriminator_width=4"
  PROFILE="--calls=1 --steps_per_call=1" PICTURES="--pictures=40 --train_seconds=0.1"
else
  SIZES="" TURNS="--rounds=5 --turn_seconds=0.5" SMALL=64 LARGE=512 SWEEP=64,128,256,512,1024,2048 MLP_SIZES=""
  PROFILE="--calls=3" PICTURES="--pictures=3000 --train_seconds=5"
fi
DCGAN="--model=dcgan_anime_a --precision=bfloat16 $SIZES"

mkdir -p "$OUT"
failed=""

measure() { # measure <name> <seconds at most> <module> <flags…>
  local name=$1 seconds=$2
  shift 2
  # shellcheck disable=SC2086  # the flags are words
  timeout --kill-after=5 "$seconds" "$PYTHON" -m $* >"$OUT/$name.json" 2>"$OUT/$name.log"
}

best_batch() { # the batch size with the cheapest image in the sweep, or the large one where there was none
  "$PYTHON" - "$OUT/batches.json" 2>/dev/null <<'END' || echo "$LARGE"
import json, sys
cost = json.load(open(sys.argv[1]))["milliseconds_per_image"]
print(min(cost, key=cost.get).split()[1])
END
}

part() { # part <name> <seconds at most>
  local against="benchmarks.train_step $DCGAN $TURNS"
  case $1 in
    predict_dcgan_64) measure "$1" "$2" "benchmarks.compile --target=$TARGET $DCGAN --batch_size=$SMALL" ;;
    predict_dcgan_512) measure "$1" "$2" "benchmarks.compile --target=$TARGET $DCGAN --batch_size=$LARGE" ;;
    predict_mlp) measure "$1" "$2" "benchmarks.compile --target=$TARGET --model=mlp_b --batch_size=100 $MLP_SIZES" ;;
    dcgan_64) measure "$1" "$2" "$against --batch_size=$SMALL --peer=torch" ;;
    dcgan_512) measure "$1" "$2" "$against --batch_size=$LARGE --peer=torch" ;;
    dcgan_64_compiled) measure "$1" "$2" "$against --batch_size=$SMALL --peer=torch_compile" ;;
    dcgan_512_compiled) measure "$1" "$2" "$against --batch_size=$LARGE --peer=torch_compile" ;;
    mlp) measure "$1" "$2" "benchmarks.train_step --model=mlp_b --batch_size=100 $MLP_SIZES $TURNS --peer=torch" ;;
    batches) measure "$1" "$2" "benchmarks.batch_sizes $DCGAN $TURNS --batch_sizes=$SWEEP" ;;
    best) measure "$1" "$2" "$against --batch_size=$(best_batch) --peer=torch_compile" ;;
    # Without command buffers: inside one, the trace does not say which operation a kernel belongs to.
    profile_64) XLA_FLAGS=--xla_gpu_enable_command_buffer= measure "$1" "$2" "benchmarks.profile $DCGAN $PROFILE --batch_size=$SMALL" ;;
    profile_512) XLA_FLAGS=--xla_gpu_enable_command_buffer= measure "$1" "$2" "benchmarks.profile $DCGAN $PROFILE --batch_size=$LARGE" ;;
    startup) measure "$1" "$2" "benchmarks.startup $DCGAN --batch_size=$SMALL --starts=1" ;;
    pipeline) measure "$1" "$2" "benchmarks.pipeline $DCGAN --batch_size=$SMALL $PICTURES" ;;
    parity) # against float64 on the same device: without TF32, which is the default there
      JAX_PLATFORMS=${DRY_RUN:+cpu} JAX_DEFAULT_MATMUL_PRECISION=float32 XLA_PYTHON_CLIENT_PREALLOCATE=false \
        timeout --kill-after=5 "$2" "$PYTHON" -m pytest -q -x tests/test_ops.py ${DRY_RUN:+--collect-only} \
        >"$OUT/parity.log" 2>&1 ;;
    *) echo "$1: no such part" >&2; false ;;
  esac
}

for name in $PARTS; do
  left=$((LIMIT - SECONDS))
  if [ "$left" -lt 15 ]; then
    failed="$failed $name(no time left)"
    continue
  fi
  began=$SECONDS
  if part "$name" "$((left < PART_LIMIT ? left : PART_LIMIT))"; then
    echo "$name: $((SECONDS - began)) s"
  else
    echo "$name: failed after $((SECONDS - began)) s: $(tail -n 1 "$OUT/$name.log" 2>/dev/null)"
    failed="$failed $name"
  fi
done

"$PYTHON" - "$OUT" <<'END'
import json, pathlib, sys
for path in sorted(pathlib.Path(sys.argv[1]).glob("*.json")):
    try:
        result = json.loads(path.read_text())
    except ValueError:
        continue
    if result["benchmark"] == "compile":
        launches, limits = result["compiled"].get("launches", {}), result["computed"]["microseconds"]
        print(f"{path.stem}: at most {result['computed']['images_per_second_at_most']} images/s, bound by"
              f" {result['computed']['bound_by']} ({limits} µs a step); {launches.get('kernels')} kernels a step,"
              f" {launches.get('submissions')} hand-overs, {result['compiled']['odd_convolutions']} odd convolutions")
    predicted = pathlib.Path(sys.argv[1], f"predict_{path.stem}.json")
    try:
        most = json.loads(predicted.read_text())["computed"]["images_per_second_at_most"]
    except (OSError, ValueError, KeyError):
        most = None
    for name, row in result.get("sides", {}).items():
        more = "" if "ratio" not in row else f", jaxgan is {row['ratio']} times as fast"
        more += f", {row['images_per_second'] / most:.0%} of the predicted most" if most and name == "jaxgan" else ""
        part = row.get("fraction_of_matmul_rate")
        print(f"{path.stem}: {name}: {row['images_per_second']} images/s{more}", *([f"({part:.1%} of the matmul rate)"] if part else []))
    if result["benchmark"] == "profile":
        print(f"{path.stem}: the largest:", dict(list(result["by_layer"].items())[:3]), dict(list(result["by_kind"].items())[:3]))
END

[ -z "$failed" ] || { echo "not measured:$failed"; exit 1; }
