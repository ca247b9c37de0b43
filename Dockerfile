# On a CPU:       docker build --tag jaxgan . && docker run --volume "$PWD/runs:/jaxgan/runs" jaxgan train gan --flagfile=mnist_better.flags
# On NVIDIA GPUs: docker build --tag jaxgan --build-arg EXTRAS=cuda,demo,export . && docker run --gpus=all --volume "$PWD/runs:/jaxgan/runs" jaxgan …
# The web page:   docker run --publish 127.0.0.1:7860:7860 jaxgan demo --host=0.0.0.0
FROM python:3.12-slim

ARG EXTRAS=demo,export
COPY . /source
RUN pip install --no-cache-dir --constraint /source/constraints.txt "/source[$EXTRAS]"

# Caches and runs stay when the container goes, if these folders are volumes.
ENV JAXGAN_CACHE_DIR=/jaxgan/cache
WORKDIR /jaxgan
ENTRYPOINT ["jaxgan"]
